"""Markdown: headings, fenced code and paragraphs; inline markup is left as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mvdb.cli.reading.blocks import Block
from mvdb.cli.reading.headings import Headings

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_LIST_ITEM = re.compile(r"\s*([-*+]|\d+[.)])\s")


class _Reader:
    """Goes over the lines once, holding the paragraph that is not finished yet."""

    def __init__(self) -> None:
        self.headings = Headings()
        self.fence = ""
        self.held: list[str] = []
        self.first = 0

    def line(self, number: int, line: str) -> Iterator[Block]:
        if self.fence:
            self._hold(number, line)
            if line.strip().startswith(self.fence) and not line.strip().strip(self.fence[0]):
                self.fence = ""
                yield from self.flush(number, verbatim=True)
            return
        if fence := _FENCE.match(line):
            yield from self.flush(number - 1)
            self.fence = fence[1]
            self._hold(number, line)
        elif heading := _ATX.match(line):
            yield from self.flush(number - 1)
            yield from self._heading(len(heading[1]), heading[2] or "", line, number, number)
        elif self._is_underline(line):
            title, first = self.held[0], self.first
            self.held = []
            level = 1 if "=" in line else 2
            yield from self._heading(level, title, title, first, number)
        elif line.strip():
            self._hold(number, line)
        else:
            yield from self.flush(number - 1)

    def _is_underline(self, line: str) -> bool:
        # Of a longer paragraph, a rule of dashes is more often a separator than a heading's.
        return (
            len(self.held) == 1
            and _SETEXT.match(line) is not None
            and _LIST_ITEM.match(self.held[0]) is None
        )

    def _hold(self, number: int, line: str) -> None:
        self.first = self.first if self.held else number
        self.held.append(line.rstrip())

    def _heading(self, level: int, title: str, text: str, first: int, last: int) -> Iterator[Block]:
        self.headings.enter(level, title)
        if title.strip():
            yield Block(text.strip(), first, last, self.headings.trail)

    def flush(self, last: int, verbatim: bool = False) -> Iterator[Block]:
        if any(line.strip() for line in self.held):
            text = "\n".join(self.held)
            yield Block(text, self.first, last, self.headings.trail, verbatim)
        self.held = []


def _front_matter(lines: list[str]) -> int:
    """How many lines a YAML head takes: settings of a site generator, not text."""
    if lines and lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:200], start=2):
            if line.rstrip() in ("---", "..."):
                return number
    return 0


def read_markdown(text: str) -> Iterator[Block]:
    """Blocks of a Markdown document."""
    lines = text.split("\n")
    skipped = _front_matter(lines)
    reader = _Reader()
    for number, line in enumerate(lines[skipped:], start=skipped + 1):
        yield from reader.line(number, line)
    yield from reader.flush(len(lines), verbatim=bool(reader.fence))
