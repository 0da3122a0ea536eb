"""reStructuredText: sections by their underlines; directives and roles are left as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mvdb.reading.blocks import Block, Headings, paragraphs

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")


def read_rst(text: str) -> Iterator[Block]:
    """Blocks of a reStructuredText document."""
    lines = [line.rstrip() for line in text.split("\n")]
    headings = Headings()
    styles: list[str] = []  # in the order of their appearance, which gives the levels
    done = index = 0
    while index < len(lines):
        overline = _title_at(lines, index)
        if overline is None:
            index += 1
            continue
        yield from paragraphs(lines[done:index], done + 1, headings.trail)
        title, style = lines[index + overline].strip(), lines[index + overline + 1][0]
        style *= overline + 1
        styles += [style] * (style not in styles)
        headings.enter(styles.index(style) + 1, title)
        done = index + overline + 2
        yield Block(title, index + 1, done, headings.trail)
        index = done
    yield from paragraphs(lines[done:], done + 1, headings.trail)


def _title_at(lines: list[str], index: int) -> int | None:
    """The lines above the title (0 or 1) of a section that begins at `index`; None if none does."""
    for overline in (0, 1):
        over, title, rule = ("", "", *lines[index : index + overline + 2])[-3:]
        if not title or not _RULE.fullmatch(rule) or _RULE.fullmatch(title):
            continue
        # Docutils asks for an underline as long as the title; a column short is a common slip.
        if len(rule) + 1 < len(title.strip()):
            continue
        begins = index == 0 or not lines[index - 1]
        if over == rule if overline else begins and not title[0].isspace():
            return overline
    return None
