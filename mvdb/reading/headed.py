"""Text with headings that a mark at the beginning of a line tells: LaTeX, Org, AsciiDoc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mvdb.reading.blocks import Block, Headings, paragraphs

_LATEX = re.compile(
    r"\s*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?\s*(?:\[[^\]]*\])?\{(.*)\}"
)
_LATEX_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
_MARKS = re.compile(r"(\*{1,9}|={1,9})[ \t]+(\S.*)")

Heading = tuple[int, str]
"""Level, from 1, and title."""


def read_latex(text: str) -> Iterator[Block]:
    """Blocks of a LaTeX document; commands and comments are left as they are."""

    def heading(line: str) -> Heading | None:
        found = _LATEX.match(line)
        return (_LATEX_LEVELS.index(found[1]) + 1, found[2]) if found else None

    return _read(text, heading)


def read_marked(text: str) -> Iterator[Block]:
    """Blocks of an Org (``** Heading``) or AsciiDoc (``== Heading``) document."""

    def heading(line: str) -> Heading | None:
        found = _MARKS.fullmatch(line.rstrip())
        return (len(found[1]), found[2]) if found else None

    return _read(text, heading)


def _read(text: str, heading: Callable[[str], Heading | None]) -> Iterator[Block]:
    lines = text.split("\n")
    headings = Headings()
    done = 0
    for number, line in enumerate(lines):
        found = heading(line)
        if found is None:
            continue
        yield from paragraphs(lines[done:number], done + 1, headings.trail)
        headings.enter(*found)
        yield Block(line.strip(), number + 1, number + 1, headings.trail)
        done = number + 1
    yield from paragraphs(lines[done:], done + 1, headings.trail)
