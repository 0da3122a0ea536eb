"""Search results for people: place, headings and the passage, with the matched words in bold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mvdb.cli.console import BOLD, PLAIN, Console, mark, one_line, printable, wrap
from mvdb.cli.matching import Match
from mvdb.cli.shown_paths import path_of

_INDENT = "   "
_LINES_SHOWN = 24
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
# Lines of code, of tables and of headings' rules keep their breaks; the others are filled.
_KEPT = re.compile(r"^(?: {4}|\t|```|~~~|\||>>>|[-=+]{4})", re.MULTILINE)
_BEFORE_ITEM = re.compile(rf"\n(?= {{0,3}}(?:[-*+•]|{BOLD}?\d+{PLAIN}?[.)]) )")


@dataclass(frozen=True)
class Result:
    """A hit with all that is shown of it; scores and relevance have four decimals; those that
    the search has not are None."""

    rank: int
    id: str | int
    score: float
    dense_score: float | None
    lexical_score: float | None
    relevance: float | None
    text: str | None
    metadata: dict[str, Any]
    matches: list[Match]


def show(results: Sequence[Result], console: Console, *, with_texts: bool = True) -> None:
    """Prints results."""
    for number, result in enumerate(results):
        if number and with_texts:
            console.text("")
        console.text(_head(result))
        if not with_texts:
            continue
        text = result.text if result.text is not None else "(no text stored)"
        lines = lay_out(text, result.matches, console.width - len(_INDENT))
        hidden = len(lines) - _LINES_SHOWN
        if hidden > 1:
            lines[_LINES_SHOWN:] = [f"... {hidden} more lines"]
        for line in lines:
            console.text((_INDENT + line).rstrip())


def _head(result: Result) -> str:
    path, line = result.metadata.get("path"), result.metadata.get("line")
    named = isinstance(path, str) and isinstance(line, int)
    place = one_line(f"{path_of(result.metadata)}:{line}" if named else str(result.id))
    title = one_line(str(result.metadata.get("title") or ""))
    return f"{result.rank}.  {result.score:.2f}  {BOLD}{place}{PLAIN}  {title}".rstrip()


def lay_out(text: str, matches: Sequence[Match], width: int) -> list[str]:
    """A passage in lines of at most `width` columns, matched words between BOLD and PLAIN.

    Paragraphs and items of lists are filled; lines of what looks like code or a table are kept, and
    only broken where they are too long."""
    marked = mark(printable(text), ((match.start, match.end) for match in matches))
    return [line for whole in _lines(marked) for line in wrap(whole, width)]


def _lines(marked: str) -> Iterator[str]:
    """Lines before they are broken at the terminal's width; an empty one between paragraphs."""
    for number, paragraph in enumerate(_BLANK_LINES.split(marked.strip("\n").rstrip())):
        if number:
            yield ""
        if _KEPT.search(paragraph):
            yield from paragraph.split("\n")
        else:
            yield from (" ".join(item.split()) for item in _BEFORE_ITEM.split(paragraph))
