"""reStructuredText: sections by their underlines; directives and roles are left as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mvdb.cli.reading.blocks import Block, paragraphs
from mvdb.cli.reading.headings import Headings

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")


class _Sections:
    """Finds section titles; the order in which their styles appear gives the levels."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._styles: list[str] = []

    def at(self, index: int) -> tuple[int, str, int] | None:
        """(level, title, number of lines) of the section title that begins at `index`, if any."""
        for overline in (0, 1):
            if found := self._title(index, overline):
                style, title = found
                if style not in self._styles:
                    self._styles.append(style)
                return self._styles.index(style) + 1, title, overline + 2
        return None

    def _title(self, index: int, overline: int) -> tuple[str, str] | None:
        picked = self._lines[index : index + overline + 2]
        if len(picked) < overline + 2:
            return None
        title, under = picked[overline], picked[overline + 1]
        if not title.strip() or _RULE.match(title) or not _RULE.match(under):
            return None
        if overline and picked[0].rstrip() != under.rstrip():
            return None
        if not overline and (title[0].isspace() or not self._starts_paragraph(index)):
            return None
        # Docutils asks for an underline as long as the title; a column short is a common slip.
        if len(under.rstrip()) + 1 < len(title.strip()):
            return None
        return under[0] * (overline + 1), title.strip()

    def _starts_paragraph(self, index: int) -> bool:
        return index == 0 or not self._lines[index - 1].strip()


def read_rst(text: str) -> Iterator[Block]:
    """Blocks of a reStructuredText document."""
    lines = text.split("\n")
    sections, headings = _Sections(lines), Headings()
    body: list[tuple[int, str]] = []
    index = 0
    while index < len(lines):
        section = sections.at(index)
        if section is None:
            body.append((index + 1, lines[index]))
            index += 1
            continue
        yield from paragraphs(body, headings.trail)
        body = []
        level, title, height = section
        headings.enter(level, title)
        yield Block(title, index + 1, index + height, headings.trail)
        index += height
    yield from paragraphs(body, headings.trail)
