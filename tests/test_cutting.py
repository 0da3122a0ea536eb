"""Passages: nothing is lost, none is too long, and they end where a reader would end them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.reading.blocks import MOST_ALONE, Block, count_words, read_plain
from mvdb.reading.code import read_code
from mvdb.reading.cutting import Cutting, cut
from mvdb.reading.headed import read_asciidoc
from mvdb.reading.markdown import read_markdown
from mvdb.reading.rst import read_rst

SIZE, MOST, SHORT = Cutting().size, Cutting().most, Cutting().short
WORDS = st.sampled_from(["one", "two.", "Three", "four!", "漢字", "x" * 400, "日本。語", "end.)"])
TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["", "# A\n", "## B\n", "- ", "```\n", "    "]),
        st.lists(WORDS, max_size=60),
        st.sampled_from([" ", "\n"]),
    ),
    max_size=30,
).map(lambda parts: "\n\n".join(start + glue.join(words) for start, words, glue in parts))


@given(TEXTS)
def test_no_character_is_lost_and_none_invented(text: str) -> None:
    for read in (read_plain, read_rst):
        passages = cut(read(text))
        assert "".join("".join(p.text.split()) for p in passages) == "".join(text.split())


@given(TEXTS)
def test_passages_are_bounded_and_in_place(text: str) -> None:
    lines = text.split("\n")
    for passage in cut(read_markdown(text)):
        assert 0 < passage.words <= MOST + SHORT
        # What is counted piece by piece and as a whole differs where a long run was cut.
        assert abs(count_words(passage.text) - passage.words) <= 3
        assert 1 <= passage.line <= passage.end_line <= len(lines)
        stood = "".join("".join(lines[passage.line - 1 : passage.end_line]).split())
        assert "".join(passage.text.split()) in stood


def sentences(count: int, words: int = 10) -> str:
    return " ".join(" ".join(["Word", *["word"] * (words - 2), "end."]) for _ in range(count))


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    passages = list(cut([Block(sentences(40), 1, 1)]))
    assert [p.words for p in passages] == [180, 180, 40]
    assert all(p.text.startswith("Word") and p.text.endswith("end.") for p in passages)


def test_passages_end_between_paragraphs_where_they_can() -> None:
    text = "\n\n".join(sentences(n) for n in (7, 6, 5, 9, 2))
    passages = list(cut(read_plain(text)))
    assert [p.words for p in passages] == [130, 160]
    assert passages[0].words >= SIZE  # and the third would have made it too long


@given(st.lists(st.integers(1, MOST // 10), max_size=12))
def test_a_paragraph_that_a_passage_takes_whole_is_not_divided(lengths: list[int]) -> None:
    paragraphs = [sentences(length) for length in lengths]
    held = [
        one
        for passage in cut(read_plain("\n\n".join(paragraphs)))
        for one in passage.text.split("\n\n")
    ]
    assert held == paragraphs


def test_a_last_scrap_goes_with_the_passage_before() -> None:
    passages = list(cut(read_plain(sentences(17) + "\n\nThe end of it all.\n")))
    assert [p.words for p in passages] == [175]


def test_a_passage_does_not_reach_over_a_heading() -> None:
    text = f"# A\n\n{sentences(5)}\n\n## B\n\n{sentences(5)}\n\n## C\n\n{sentences(5)}\n"
    passages = list(cut(read_markdown(text)))
    assert [p.trail for p in passages] == [("A",), ("A", "B"), ("A", "C")]
    assert [(p.line, p.end_line) for p in passages] == [(1, 3), (5, 7), (9, 11)]


def test_sections_too_short_to_stand_alone_are_joined_under_what_they_share() -> None:
    text = "# Fruit\n\n## Apple\n\nRed.\n\n## Pear\n\nGreen.\n\n## Plum\n\nBlue.\n"
    (passage,) = cut(read_markdown(text))
    assert passage.trail == ("Fruit",)
    assert "## Pear" in passage.text


def test_a_bare_heading_goes_with_the_section_below_it() -> None:
    (passage,) = cut(read_markdown(f"# Title\n\n## Intro\n\n{sentences(5)}"))
    assert passage.trail == ("Title", "Intro")
    assert passage.line == 1


def test_sentence_ends_that_are_none() -> None:
    sentence = "It takes e.g. version 1.5 of it, i.e. that one, etc. and so on and on. "
    passages = list(cut([Block(sentence * 40, 1, 1)]))
    assert all(p.text.startswith("It takes") and p.text.endswith("on.") for p in passages)


def test_a_list_is_cut_between_its_items() -> None:
    text = "\n".join(f"- item {n} with some words that need no full stop" for n in range(60))
    passages = list(cut(read_markdown(text)))
    assert len(passages) > 1
    assert all(p.text.startswith("- item") for p in passages)
    assert passages[0].text.count("\n") == len(passages[0].text.split("- item")) - 2


def test_code_is_cut_between_lines_and_keeps_them() -> None:
    code = (
        "```\n" + "\n".join(f"    value_{n} = call({n}).field. Other" for n in range(90)) + "\n```"
    )
    passages = list(cut(read_markdown(code)))
    assert len(passages) > 1
    assert "\n".join(p.text for p in passages) == code


def test_one_endless_word_and_one_endless_sentence() -> None:
    assert all(p.words <= MOST for p in cut([Block("x" * 100_000, 1, 1)]))
    assert all(p.words <= MOST for p in cut([Block("word " * 10_000, 1, 1)]))
    assert all(p.words <= MOST for p in cut([Block("漢" * 10_000, 1, 1)]))


def test_nothing() -> None:
    assert list(cut([])) == []
    assert list(cut(read_plain(" \n\n\t\n"))) == []


@pytest.mark.parametrize(
    ("read", "piece", "last"),
    [
        (read_plain, "Word {}.\n\n", None),
        (read_code, "def f{}():\n    pass\n\n\n", "f{}"),
        (read_asciidoc, "== Title {}\nText.\n\n", "Title {}"),
        (read_markdown, "# Title {}\n", "Title {}"),
    ],
)
def test_of_very_many_blocks_the_last_are_joined(
    read: Callable[[str], Iterator[Block]], piece: str, last: str | None
) -> None:
    """last: the heading or name of the last block that has one of its own."""
    text = "".join(piece.format(number) for number in range(MOST_ALONE + 5_000))
    lines = text.split("\n")
    blocks = list(read(text))
    if last is None:
        assert len(blocks) < MOST_ALONE + 500
    else:
        assert blocks[-1].trail == (last.format(MOST_ALONE - 1),)
    for block in blocks[-1_000:]:
        assert block.text.split("\n") == lines[block.line - 1 : block.end_line]
    assert "".join("".join(b.text.split()) for b in blocks) == "".join(text.split())
    assert all(passage.words <= MOST + SHORT for passage in cut(blocks[-100:]))
