"""WordPiece, beside the library `tokenizers` with the settings of the model, and by its rules."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.encoders.wordpiece import SPECIAL, WordPiece, vocabulary

VOCABULARY = vocabulary()
WORDS = WordPiece(VOCABULARY)


def has_its_old_category(character: str) -> bool:
    """Whether Unicode 3.2 knew this character as it is now: libraries have Unicode tables of
    different ages."""
    old = unicodedata.ucd_3_2_0.category(character)
    return old == unicodedata.category(character) != "Cn"


ASSIGNED = [chr(code) for code in range(0x30000) if has_its_old_category(chr(code))]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(VOCABULARY),
        st.sampled_from(SPECIAL),
        st.sampled_from([" ", "\n", "\u3000", "\x00", "\ufffd", ".", "[", "]", "##", "Ü", "İ"]),
        st.text(st.sampled_from(ASSIGNED).filter(lambda c: unicodedata.category(c) != "Cs")),
    )
).map("".join)


@pytest.fixture(scope="module")
def reference() -> object:
    tokenizers = pytest.importorskip("tokenizers", reason="the extra onnx is not installed")
    number = {token: index for index, token in enumerate(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(number, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


@given(TEXTS)
def test_same_tokens_and_spans_as_the_library(reference: object, text: str) -> None:
    encoding = reference.encode(text, add_special_tokens=False)  # type: ignore[attr-defined]
    assert WORDS.tokens(text) == encoding.ids
    assert WORDS.spans(text) == encoding.offsets


def test_same_tokens_for_every_character(reference: object) -> None:
    texts = [f"a{character}b" for character in ASSIGNED if unicodedata.category(character) != "Cs"]
    encodings = reference.encode_batch(texts, add_special_tokens=False)  # type: ignore[attr-defined]
    wrong = [t for t, e in zip(texts, encodings, strict=True) if WORDS.tokens(t) != e.ids]
    assert not wrong


def pieces(text: str) -> list[str]:
    return [VOCABULARY[number] for number in WORDS.tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\u3000", []),
        ("Rivers", ["rivers"]),
        ("Ünïcode", ["unicode"]),
        ("don't", ["don", "'", "t"]),
        ("中国", ["中", "国"]),
        ("a\x00b\ufffdc", ["abc"]),
        ("[CLS] says", ["[CLS]", "says"]),
        ("[cls]", ["[", "cl", "##s", "]"]),
        ("x" * 101, ["[UNK]"]),
        ("\u16a0", ["[UNK]"]),
    ],
)
def test_rules(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_more_words_than_are_kept() -> None:
    words = WordPiece(VOCABULARY)
    texts = [f"w{number}" for number in range(70_000)]
    first = words.tokens(texts[0])
    for text in texts:
        words.tokens(text)
    assert words.tokens(texts[0]) == first
