"""The unit between a file's format and its passages: a paragraph that knows where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

# Scripts written without spaces count by character, and a run without spaces (base64, a URL) by
# the piece: both come close to the count of an encoder's tokeniser.
UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]{{1,16}}")
_PART = 1 << 16
"""Characters whose words or lines are listed at a time."""
_MOST_TITLE = 300
MOST_ALONE = 100_000
"""Paragraphs, headings or definitions of a document that are told apart. People write fewer; where
there are more, short paragraphs are joined behind them, and headings and definitions are text."""
_JOINED_LINES = 64
_MOST_LEVELS = 10
"""Headings above a passage; deeper ones take the place of the tenth."""


@dataclass(slots=True)  # not frozen, which would take three times as long to make
class Block:
    """A paragraph, a heading, a list, a table or a stretch of code.

    Attributes:
        text: as in the file, indentation included.
        line: its first line in the file, from 1.
        end_line: its last line.
        trail: the headings above it, outermost first, or the names of the definitions around code;
            a heading's own trail ends with itself.
        verbatim: its line breaks mean something (code, rows of a table).
    """

    text: str
    line: int
    end_line: int
    trail: tuple[str, ...] = ()
    verbatim: bool = False


def count_words(text: str) -> int:
    """Length of `text` in words, counting long unbroken runs and unspaced scripts by their size."""
    if len(text) <= _PART:
        return len(_WORD.findall(text))
    return sum(1 for _ in _WORD.finditer(text))


def end_of_words(text: str, at: int, most: int) -> int:
    """Where the word behind `most` words from `at` on begins, else the end of the text."""
    found = next(islice(_WORD.finditer(text, at), most, None), None)
    return found.start() if found else len(text)


class Headings:
    """The headings above a line of a document, by level (1 is outermost).

    Attributes:
        trail: those that are not empty, outermost first."""

    def __init__(self) -> None:
        self._levels: list[int] = []
        self._titles: list[str] = []
        self.trail: tuple[str, ...] = ()

    def enter(self, level: int, title: str) -> None:
        """Puts `title` on the trail and takes off the headings of the same and of deeper levels."""
        level = min(level, _MOST_LEVELS)
        while self._levels and self._levels[-1] >= level:
            self._levels.pop()
            self._titles.pop()
        if shown := bounded_title(title):
            self._levels.append(level)
            self._titles.append(shown)
        self.trail = (*self._titles,)


def bounded_title(text: str) -> str:
    """A heading in one line; a very long one is shortened, as every passage below carries it."""
    if len(text) <= _MOST_TITLE:
        return " ".join(text.split())
    title = " ".join(text[: 4 * _MOST_TITLE].split())
    return title if len(title) <= _MOST_TITLE else title[: _MOST_TITLE - 1].rstrip() + "…"


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text, as ``text.split("\\n")`` gives them, without a list of all."""
    at = 0
    while (end := text.find("\n", at + _PART)) >= 0:
        yield from text[at:end].split("\n")
        at = end + 1
    yield from text[at:].split("\n")


def paragraphs(
    lines: Iterable[str], first: int, trail: tuple[str, ...] = (), *, verbatim: bool = False
) -> Iterator[Block]:
    """Cuts lines, of which the first has the number `first`, into blocks at blank lines."""
    held: list[str] = []
    number, left = first, MOST_ALONE
    for line in lines:
        kept = line.rstrip()
        if kept:
            held.append(kept)
        elif held and left:
            yield Block("\n".join(held), number - len(held), number - 1, trail, verbatim)
            held = []
            left -= 1
        elif len(held) >= _JOINED_LINES:
            yield _joined(held, number - len(held), trail, verbatim)
            held = []
        elif held:
            held.append(kept)
        number += 1
    if held:
        yield _joined(held, number - len(held), trail, verbatim)


def _joined(lines: list[str], first: int, trail: tuple[str, ...], verbatim: bool) -> Block:
    """Lines, of which the first has a number and is not empty, without empty ones at the end."""
    last = len(lines)
    while not lines[last - 1]:
        last -= 1
    return Block("\n".join(lines[:last]), first, first + last - 1, trail, verbatim)


def read_plain(text: str) -> Iterator[Block]:
    """Blocks of plain text."""
    return paragraphs(lines_of(text), 1)
