"""reStructuredText: sections by their underlines; directives and roles are left as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from mvdb.reading.blocks import MOST_ALONE, Block, Headings, lines_of, paragraphs

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")


def read_rst(text: str) -> Iterator[Block]:
    """Blocks of a reStructuredText document."""
    lines = [line.rstrip() for line in lines_of(text)]
    headings = Headings()
    styles: dict[str, int] = {}  # in the order of their appearance, which gives the levels
    done = 0
    before = -1
    for rule in islice(_rules(lines), 2 * MOST_ALONE):  # a title may have two
        # A rule is no title.
        first = _title_at(lines, done, rule) if before != rule - 1 else None
        before = rule
        if first is None:
            continue
        yield from paragraphs(lines[done:first], done + 1, headings.trail)
        title = lines[rule - 1].strip()
        style = lines[rule][0] * (rule - first)
        headings.enter(styles.setdefault(style, len(styles) + 1), title)
        yield Block(title, first + 1, rule + 1, headings.trail)
        done = rule + 1
    yield from paragraphs(lines[done:], done + 1, headings.trail)


def _rules(lines: list[str]) -> Iterator[int]:
    """The lines that may stand below a title."""
    for number, line in enumerate(lines):
        if line and not line[0].isalnum() and _RULE.fullmatch(line):
            yield number


def _title_at(lines: list[str], done: int, rule: int) -> int | None:
    """The first line of the title, from line `done` on, that stands above a rule: the line before,
    or a rule before that; None if there is no title."""
    at = rule - 1
    title = lines[at] if at >= done else ""
    # Docutils asks for an underline as long as the title; a column short is a common slip.
    if not title or len(lines[rule]) + 1 < len(title.strip()):
        return None
    if at > done and lines[at - 1] == lines[rule]:
        return at - 1
    begins = at == 0 or not lines[at - 1]
    return at if begins and not title[0].isspace() else None
