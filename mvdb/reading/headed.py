"""Text with headings that a mark at the beginning of a line tells: LaTeX, Org, AsciiDoc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mvdb.reading.blocks import MOST_ALONE, Block, Headings, bounded_title, paragraphs
from mvdb.reading.front_matter import without_org_keywords
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading

_LATEX = re.compile(
    r"\s*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?\s*(?:\[[^\]]*\])?\{(.*)\}"
)
_LATEX_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
_PREAMBLE = 1 << 16
"""Characters in which a document names itself."""
_LATEX_SAYS = {
    name: re.compile(
        rf"^[^%\n]{{0,80}}?\\{name}(?:\[[^\]\n]*\])?\{{([^{{}}]{{1,1000}})\}}", re.MULTILINE
    )
    for name in ("title", "author", "date")
}
_MARK = ("*", "=")
_MARKS = re.compile(r"(\*{1,9}|={1,9})[ \t]+(\S.*)")

Heading = tuple[int, str]
"""Level, from 1, and title."""


def read_latex(text: str) -> Reading:
    """A LaTeX document; commands and comments are left as they are."""

    def heading(line: str) -> Heading | None:
        found = _LATEX.match(line)
        return (_LATEX_LEVELS.index(found[1]) + 1, found[2]) if found else None

    found = {name: _LATEX_SAYS[name].search(text, 0, _PREAMBLE) for name in _LATEX_SAYS}
    said = {name: " ".join(one[1].split()) for name, one in found.items() if one}
    title = bounded_title(said.pop("title", ""))
    return Reading(_read(text, heading), metadata=properties(said), title=title)


def read_org(text: str) -> Reading:
    """An Org document; the keywords above its text are its metadata."""
    headed = without_org_keywords(text)
    blocks = read_asciidoc(headed.text)
    return Reading(blocks, headed.note, headed.metadata, headed.metadata.get("title", ""))


def read_asciidoc(text: str) -> Iterator[Block]:
    """Blocks of an AsciiDoc document (``== Heading``), and of an Org one (``** Heading``)."""

    def heading(line: str) -> Heading | None:
        found = _MARKS.fullmatch(line.rstrip()) if line.startswith(_MARK) else None
        return (len(found[1]), found[2]) if found else None

    return _read(text, heading)


def _read(text: str, heading: Callable[[str], Heading | None]) -> Iterator[Block]:
    lines = text.split("\n")
    headings = Headings()
    done, left = 0, MOST_ALONE
    for number, line in enumerate(lines):
        found = heading(line)
        if found is None:
            continue
        if not left:
            break
        left -= 1
        if done < number:
            yield from paragraphs(lines[done:number], done + 1, headings.trail)
        headings.enter(*found)
        yield Block(line.strip(), number + 1, number + 1, headings.trail)
        done = number + 1
    yield from paragraphs(lines[done:], done + 1, headings.trail)
