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
_COUNTED = 1 << 16
"""Characters whose words are listed at a time."""
_MOST_TITLE = 300
_MOST_LEVELS = 10
"""Headings above a passage; deeper ones take the place of the tenth."""


@dataclass(frozen=True, slots=True)
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
    if len(text) <= _COUNTED:
        return len(_WORD.findall(text))
    return sum(1 for _ in _WORD.finditer(text))


def end_of_words(text: str, at: int, most: int) -> int:
    """Where the word behind `most` words from `at` on begins, else the end of the text."""
    found = next(islice(_WORD.finditer(text, at), most, None), None)
    return found.start() if found else len(text)


class Headings:
    """The headings above a line of a document, by level (1 is outermost)."""

    def __init__(self) -> None:
        self._titles: dict[int, str] = {}

    def enter(self, level: int, title: str) -> None:
        """Puts `title` on the trail and takes off the headings of the same and of deeper levels."""
        level = min(level, _MOST_LEVELS)
        above = {number: title for number, title in self._titles.items() if number < level}
        self._titles = {**above, level: bounded_title(title)}

    @property
    def trail(self) -> tuple[str, ...]:
        return tuple(filter(None, self._titles.values()))


def bounded_title(text: str) -> str:
    """A heading in one line; a very long one is shortened, as every passage below carries it."""
    title = " ".join(text[: 4 * _MOST_TITLE].split())
    return title if len(title) <= _MOST_TITLE else title[: _MOST_TITLE - 1].rstrip() + "…"


def paragraphs(lines: Iterable[str], first: int, trail: tuple[str, ...] = ()) -> Iterator[Block]:
    """Cuts lines, of which the first has the number `first`, into blocks at blank lines."""
    held: list[str] = []
    number = first
    for line in lines:
        kept = line.rstrip()
        if kept:
            held.append(kept)
        elif held:
            yield Block("\n".join(held), number - len(held), number - 1, trail)
            held = []
        number += 1
    if held:
        yield Block("\n".join(held), number - len(held), number - 1, trail)


def read_plain(text: str) -> Iterator[Block]:
    """Blocks of plain text."""
    return paragraphs(text.split("\n"), 1)
