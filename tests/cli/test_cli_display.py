"""How a passage is laid out, and which of its words are marked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from words_encoder import WordsEncoder

from mvdb.cli.console import BOLD, PLAIN, one_line, printable, size
from mvdb.cli.display import lay_out
from mvdb.cli.matching import Match, matched_words
from tests.support.model import unit


def laid_out(text: str, width: int = 30, marked: str = "") -> list[str]:
    matches = []
    if marked:
        start = text.index(marked)
        matches = [Match(start, start + len(marked), 1.0)]
    lines = lay_out(text, matches, width)
    return [line.replace(BOLD, "<").replace(PLAIN, ">") for line in lines]


def test_paragraphs_are_filled() -> None:
    assert laid_out("one\ntwo three four five six seven\n\neight") == [
        "one two three four five six",
        "seven",
        "",
        "eight",
    ]


def test_items_begin_a_line() -> None:
    assert laid_out("List:\n- one\n  more\n- two\n1. three") == [
        "List:",
        "- one more",
        "- two",
        "1. three",
    ]


def test_code_keeps_its_lines() -> None:
    assert laid_out("    if x:\n        y") == ["    if x:", "        y"]
    assert laid_out("```\na\nb\n```") == ["```", "a", "b", "```"]
    assert laid_out("    " + "word " * 8) == ["    word word word word word", "word word word"]


def test_marked_words_stay_marked_over_line_ends() -> None:
    assert laid_out("say (hello) now", marked="hello") == ["say (<hello>) now"]
    assert laid_out("x" * 50, marked="x" * 50) == [f"<{'x' * 30}>", f"<{'x' * 20}>"]
    assert laid_out("a\n\nhello", marked="hello") == ["a", "", "<hello>"]
    assert laid_out("a\n1. b", marked="1") == ["a", "<1>. b"]


def test_wide_characters_take_two_columns() -> None:
    assert laid_out("漢" * 20, width=30) == ["漢" * 15, "漢" * 5]


@given(st.text(alphabet="ab \n\t-漢|", max_size=200), st.integers(20, 60))
def test_nothing_is_lost_and_nothing_sticks_out(text: str, width: int) -> None:
    lines = laid_out(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert sum(2 if mark == "漢" else 1 for mark in line.strip()) <= width


def test_no_escape_sequence_reaches_a_terminal() -> None:
    assert printable("a\x1b[31mb\nc\td\x9b\r\n") == "a\ufffd[31mb\nc\td\ufffd \n"
    assert one_line("two\nlines\x07") == "two lines\ufffd"


def test_sizes() -> None:
    texts = [size(n) for n in (0, 999, 1000, 99_940, 99_950, 999_499, 999_500, 10**15, 10**18)]
    assert texts == [
        "0 B", "999 B", "1.0 kB", "99.9 kB", "100 kB", "999 kB", "1.0 MB", "1000 TB", "1000000 TB",
    ]  # fmt: skip


def marked(query: str, text: str) -> list[str]:
    encoder = WordsEncoder()
    asked, stored = map(unit, encoder.encode_queries([query, text]))
    scores = (asked @ stored.T).astype(np.float32)
    found = matched_words(text, encoder.tokens([text])[0], scores)
    return [text[match.start : match.end] for match in found]


def test_words_that_matched_are_marked() -> None:
    assert marked("blue sky", "The sky is blue and wide.") == ["sky", "blue"]


def test_words_without_meaning_are_not_marked() -> None:
    assert marked("why is the sky blue", "The sky is blue.") == ["sky", "blue"]


def test_words_are_marked_whole() -> None:
    assert marked("don", "I don't know") == ["don't"]


def test_chance_likeness_is_not_marked() -> None:
    assert marked("zebra", "The sky is blue.") == []


def test_nothing_is_marked_when_the_tokens_are_others() -> None:
    scores = np.ones((1, 3), np.float32)
    assert matched_words("one two", [(0, 3), (4, 7)], scores) == []
