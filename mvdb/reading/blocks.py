"""The unit between a file's format and its passages: a paragraph that knows where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Scripts written without spaces count by character, and a run without spaces (base64, a URL) by
# the piece: both come close to the count of an encoder's tokeniser.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]{{1,16}}")
MOST_TITLE = 200
"""Characters of a heading above a passage: each passage below it has them once more."""
_MOST_LEVELS = 10


@dataclass(frozen=True)
class Block:
    """A paragraph, heading or code block.

    Attributes:
        text: as in the file, indentation included.
        line, end_line: its first and last line in the file, from 1.
        trail: the headings above it, outermost first; a heading's own trail ends with itself.
        verbatim: its line breaks mean something (code)."""

    text: str
    line: int
    end_line: int
    trail: tuple[str, ...] = ()
    verbatim: bool = False


def count_words(text: str) -> int:
    """Length of `text` in words, counting long unbroken runs and unspaced scripts by their size."""
    return sum(1 for _ in _WORD.finditer(text))


def heading(title: str) -> str:
    """A title in one line, cut to MOST_TITLE characters, as it stands above passages."""
    line = " ".join(title.split())
    return line if len(line) <= MOST_TITLE else line[: MOST_TITLE - 1] + "…"


class Headings:
    """The headings above a line of a document, by level (1 is outermost)."""

    def __init__(self) -> None:
        self._titles: dict[int, str] = {}

    def enter(self, level: int, title: str) -> None:
        """Puts `title` on the trail and takes off the headings of the same and of deeper levels."""
        level = min(level, _MOST_LEVELS)
        above = {number: title for number, title in self._titles.items() if number < level}
        self._titles = {**above, level: heading(title)}

    @property
    def trail(self) -> tuple[str, ...]:
        return tuple(filter(None, self._titles.values()))


def paragraphs(lines: Iterable[str], first: int, trail: tuple[str, ...] = ()) -> Iterator[Block]:
    """Cuts lines, of which the first has the number `first`, into blocks at blank lines."""
    held: list[str] = []
    for number, line in enumerate((*lines, ""), first):
        if line.strip():
            held.append(line.rstrip())
        elif held:
            yield Block("\n".join(held), number - len(held), number - 1, trail)
            held = []


def read_plain(text: str) -> Iterator[Block]:
    """Blocks of plain text."""
    return paragraphs(text.split("\n"), 1)
