"""Passages end between words, and never within what a reader takes for one character.

The characters are made of code points by what they are, so their ends are known without a table."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mvdb.reading import Block, Cutting, cut

MARKS = st.text(
    st.sampled_from("\u0301\u0308\u0323\u20dd\ufe0f\u0e49\u064e\u05b8\u0eb1"), max_size=6
)
LETTERS = st.sampled_from("aéжאب漢かกᠠ")
ACCENTED = st.builds(str.__add__, LETTERS, MARKS)
FLAGS = st.text(st.characters(min_codepoint=0x1F1E6, max_codepoint=0x1F1FF), min_size=2, max_size=2)
PEOPLE = st.lists(st.sampled_from(["👩", "👨🏽", "🧑🏿", "❤️", "💻"]), min_size=1, max_size=4).map(
    "\u200d".join
)
KEYCAPS = st.sampled_from(["1\ufe0f\u20e3", "🏴\U000e0067\U000e0062\U000e007f", "👍🏾"])
JAMO = st.builds(
    lambda leading, vowel, trailing: leading + vowel + trailing,
    st.text(st.sampled_from("\u1100\u1112\ua960"), min_size=1, max_size=2),
    st.text(st.sampled_from("\u1161\u1175\ud7b0"), min_size=1, max_size=2),
    st.text(st.sampled_from("\u11a8\u11c2\ud7cb"), max_size=2),
)
SYLLABLES = st.sampled_from(["가", "각", "가\u11a8", "한", "글"])
INDIC = st.sampled_from(
    [
        "क्ष",
        "क्ष्म",
        "नि",
        "हिं",
        "ক্ষ",
        "র্য",
        "ਸ੍ਤ",
        "ક્ષ",
        "ଶ୍ର",
        "நி",
        "க்ஷ",
        "క్ష",
        "ಕ್ಷ",
        "ക്ഷ",
        "ශ්\u200dර",
    ]
)
CLUSTERS = st.one_of(ACCENTED, FLAGS, PEOPLE, KEYCAPS, JAMO, SYLLABLES, INDIC)
WORDS = st.lists(CLUSTERS, min_size=1, max_size=8).map(lambda word: word * 40)
"""Longer than passages, so that they are divided at many places."""
SIZES = st.integers(4, 12).flatmap(
    lambda size: st.builds(Cutting, st.just(size), st.integers(size, 2 * size))
)


def spaces_out(text: str) -> str:
    return "".join(text.split())


@given(
    st.lists(WORDS, min_size=1, max_size=3),
    SIZES,
    st.sampled_from([" ", "\r\n", "\n"]),
    st.booleans(),
)
def test_passages_end_between_characters(
    words: list[list[str]], cutting: Cutting, space: str, verbatim: bool
) -> None:
    text = space.join("".join(word) for word in words)
    ends, at = set(), 0
    for word in words:
        for cluster in word:
            at += len(cluster)
            ends.add(at)
    at = 0
    for passage in cut([Block(text, 1, 99, (), verbatim)], cutting):
        at += len(spaces_out(passage.text))
        assert at in ends, f"{passage.text!r} ends within a character"
        assert 0 < passage.words <= cutting.most + cutting.short
    assert at == len(spaces_out(text))


@given(st.lists(st.text("abcdé\u0301", min_size=1, max_size=16), min_size=1, max_size=80), SIZES)
def test_passages_end_between_words(words: list[str], cutting: Cutting) -> None:
    # A mark at the beginning of a word would belong to the space before.
    words = ["x" + word[1:] for word in words]
    found = [word for p in cut([Block(" ".join(words), 1, 1)], cutting) for word in p.text.split()]
    assert found == words


@given(
    st.lists(
        st.sampled_from(["word", "x" * 40, "漢字か", "\u0301mark", "한국어", "end."]), max_size=60
    ),
    SIZES,
    st.integers(0, 8),
)
def test_words_that_are_too_long_alone_are_divided(
    words: list[str], cutting: Cutting, overlap: int
) -> None:
    text = " ".join(words)
    cutting = Cutting(cutting.size, cutting.most + overlap, overlap)
    passages = list(cut([Block(text, 1, 1)] if words else [], cutting))
    kept = "".join(spaces_out(passage.text[passage.repeated :]) for passage in passages)
    assert kept == spaces_out(text)
    for passage in passages[1:]:
        assert unicodedata.category(passage.text[passage.repeated]) != "Mn"
        assert passage.words <= cutting.most + cutting.short


def test_more_marks_than_a_character_has_are_divided() -> None:
    text = "a" + "\u0301" * 10_000
    passages = list(cut([Block(text, 1, 1)], Cutting(size=10, most=10)))
    assert "".join(passage.text for passage in passages) == text
    assert all(passage.words <= 12 for passage in passages)
