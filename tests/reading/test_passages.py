"""Sizes, overlap, what an encoder is given, and time that grows with the length alone."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.cutting import SHAPES
from mvdb.reading import Block, Cutting, Passage, cut, read


def sentences(count: int, words: int = 10) -> str:
    return " ".join(f"S{n} {'word ' * (words - 2)}end." for n in range(count))


LONG = sentences(14)


def test_sizes_are_options() -> None:
    block = Block(sentences(100), 1, 1)
    for size, most in ((10, 10), (50, 75), (300, 400)):
        lengths = [p.words for p in cut([block], Cutting(size=size, most=most))]
        assert set(lengths[:-1]) == {most // 10 * 10}
        assert sum(lengths) == 1000
    assert [p.words for p in cut([block])] == [p.words for p in cut([block], Cutting())]


def test_an_overlap_repeats_whole_sentences() -> None:
    cutting = Cutting(size=40, most=80, overlap=25)
    passages = list(cut([Block(sentences(30), 1, 1)], cutting))
    assert passages[0].repeated == 0
    for before, passage in pairwise(passages):
        repeated = passage.text[: passage.repeated].strip()
        assert len(repeated.split()) == 20  # two sentences of ten words fit into 25
        assert repeated.startswith("S")
        assert before.text.endswith(repeated)
        assert passage.words <= 80
    assert " ".join(p.text[p.repeated :] for p in passages) == sentences(30)


def test_an_overlap_keeps_lines_and_their_numbers() -> None:
    lines = [f"    value_{n} = call({n})" for n in range(60)]
    block = Block("\n".join(lines), 11, 70, ("name",), verbatim=True)
    passages = list(cut([block], Cutting(size=20, most=40, overlap=10)))
    assert len(passages) > 2
    for passage in passages:
        assert passage.text.split("\n") == lines[passage.line - 11 : passage.end_line - 10]
    for before, passage in pairwise(passages):
        assert before.line < passage.line <= before.end_line


def test_an_overlap_does_not_reach_over_a_heading() -> None:
    text = "".join(f"# Part {n}\n\n{sentences(4)}\n\n{sentences(4)}\n\n" for n in range(4))
    passages = list(cut(read(text, name="a.md").blocks, Cutting(size=40, most=60, overlap=20)))
    for before, passage in pairwise(passages):
        assert (passage.repeated > 0) == (before.trail == passage.trail)
        assert passage.text.count("# Part") <= 1


def test_an_overlap_does_not_reach_over_a_heading_that_stands_twice() -> None:
    again = f"# A\n\n{sentences(4)}\n\n# A\n\n{sentences(4)}\n"
    second = list(cut(read(again, name="a.md").blocks, Cutting(size=40, most=80, overlap=20)))[1]
    assert second.text.startswith("# A")
    assert second.repeated == 0
    within = f"# A\n\n{sentences(3)}\n\n# A\n\n{sentences(1)}\n\n{sentences(4)}\n"
    third = list(cut(read(within, name="a.md").blocks, Cutting(size=40, most=120, overlap=60)))[1]
    assert third.text[: third.repeated] == f"# A\n\n{sentences(1)}\n\n"


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(2, 30), st.sampled_from([("A",), ("A", "B")])),
        max_size=12,
    ),
    st.integers(8, 60),
    st.integers(0, 30),
)
def test_words_stand_in_order_and_once_but_for_the_overlap(
    parts: list[tuple[int, int, tuple[str, ...]]], size: int, overlap: int
) -> None:
    blocks = [
        Block(sentences(count, words), number, number, trail)
        for number, (count, words, trail) in enumerate(parts, 1)
    ]
    cutting = Cutting(size, size + overlap + 10, overlap)
    passages = list(cut(blocks, cutting))
    words = [word for block in blocks for word in block.text.split()]
    assert [word for p in passages for word in p.text[p.repeated :].split()] == words
    for before, passage in pairwise(passages):
        assert before.text.endswith(passage.text[: passage.repeated].rstrip())
        assert passage.words == len(passage.text.split()) <= cutting.most + cutting.short
        assert before.line <= passage.line <= passage.end_line


@pytest.mark.parametrize(
    ("name", "text", "encoded"),
    [
        ("a.md", "# A\n\n## B\n\nText.", "# A\n\n## B\n\nText."),
        ("a.md", f"# A\n\n{LONG}\n\n## B ##\n\n{LONG}", "A\n## B ##\n\nS0"),
        ("a.md", f"# A\n\n{LONG}\n\nTwo\nlines\n---\n\n{LONG}", "A\nTwo\nlines\n\nS0"),
        ("a.org", f"* A\n{LONG}\n** B\n{LONG}", "A\n** B\n\nS0"),
        (
            "a.tex",
            f"\\section{{A}}\n{LONG}\n\\section{{B}}\n{LONG}",
            "\\section{B}",
        ),
        (
            "a.py",
            "class A:\n    def b():\n" + "        x = 1\n" * 200,
            "A > b\n        x =",
        ),
        ("a.eml", "Subject: Hello\n\nText.", "Subject: Hello\n\nText."),
        ("a.txt", "No heading.", "No heading."),
    ],
)
def test_an_encoder_is_given_the_headings_that_the_text_does_not_say(
    name: str, text: str, encoded: str
) -> None:
    last = list(cut(read(text.encode(), name=name).blocks))[-1]
    assert last.encoded.startswith(encoded)
    assert last.encoded.endswith(last.text)


def test_headings_below_which_a_passage_goes_on_are_given() -> None:
    text = f"# A\n\n## B\n\n{sentences(40)}\n"
    first, *others = cut(read(text, name="a.md").blocks)
    assert first.encoded == first.text
    assert [p.encoded for p in others] == [f"A > B\n{p.text}" for p in others]
    assert Passage("Apples are red.", 1, 1, ("Apple",)).encoded == "Apple\nApples are red."
    assert Passage("Apple is red.", 1, 1, ("Fruit", "Apple")).encoded == "Fruit\nApple is red."


@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_with_the_length_alone(shape: str) -> None:
    """Tables took minutes, and a long line of marks or spaces can cost its square."""
    name, made = SHAPES[shape]
    text = made(250_000)
    start = time.process_time()
    passages = list(cut(read(text, name=name).blocks))
    assert time.process_time() - start < 10  # 0.02 to 0.7 s on a quiet core
    assert all(len(passage.encoded) < 50_000 for passage in passages)


@pytest.mark.parametrize(
    "unit",
    ["a.", " ", ".", "-", "`", "~~~\n", "# ", "#", "<a ", "> ", "|", "- ", "\t", "[", "*", "\\"],
)
@pytest.mark.parametrize("suffix", ["md", "html", "rst", "tex", "org", "c", "py", "txt"])
def test_no_run_of_a_mark_takes_the_square_of_its_length(suffix: str, unit: str) -> None:
    for text in (unit * 100_000, "x " + unit * 50_000 + "x\n" + "y. " * 50, ("x" + unit) * 30_000):
        start = time.process_time()
        list(cut(read(text, name=f"a.{suffix}").blocks))
        assert time.process_time() - start < 10


LINES = [
    *("# One", "## Two ##", "#", "   # Three", "text", "more text", "", "", "- item", "1. one"),
    *("  - below", "    more of it", "> quote", "> # quoted", "```", "~~~ py", "---", "==="),
    *("| a | b |", "|---|---|", "| 1 | 2 |", "<div>", "</div>", "<!-- c -->", "    code", "\tcode"),
    *("\\# no", "<span>x</span>", "* * *", "-     code", "[a]: b", "a ``` b"),
]


@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_headings_and_code_of_markdown_are_those_of_the_parser(lines: list[str]) -> None:
    """The document is parsed in parts, and most parts not at all."""
    if sum(line in ("```", "~~~ py") for line in lines) % 2:
        return  # a fence that is never closed, in a list, may end where the list does
    text = "\n".join(lines)
    expected = []
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
    for token, inside in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and inside.content.strip():
            expected.append((token.map[0] + 1, " ".join(inside.content.split())))
    found = [(b.line, b.trail[-1]) for b in read(text, name="a.md").blocks if is_heading(b)]
    assert found == expected


def is_heading(block: Block) -> bool:
    """Whether the block is the last heading of its own trail."""
    shown = " ".join(block.text.split()).lstrip("# ").rstrip("# ")
    return bool(block.trail) and not block.verbatim and shown == block.trail[-1]
