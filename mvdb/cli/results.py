"""Search results for people: place, headings and the passage, with the matched words in bold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvdb.cli.console import Console, one_line, printable
from mvdb.cli.indexing.names import shown_path
from mvdb.cli.matching import Match

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_INDENT = "   "
_PIECE = re.compile(r"\s+|\S+")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*?(?=[ \t]*\S)")
_KEPT = re.compile(r" {4}|\t|```|~~~|\||>>>|[-=+]{4}")
_ITEM = re.compile(r" {0,3}(?:[-*+•]|\d+[.)]) ")
_LINES_SHOWN = 24


@dataclass(frozen=True)
class Result:
    """A hit with all that is shown of it."""

    rank: int
    id: str | int
    score: float
    text: str | None
    metadata: dict[str, Any]
    matches: list[Match]

    def as_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["score"] = round(self.score, 4)
        value["matches"] = [
            {**match, "score": round(match["score"], 4)} for match in value["matches"]
        ]
        return value


def show(results: Sequence[Result], console: Console, file: Path) -> None:
    """Prints results; `file` is the database, from which relative places are meant."""
    for number, result in enumerate(results):
        if number:
            console.styled_text("")
        console.styled_text(_head(result, console.styled, file))
        text = result.text if result.text is not None else "(no text stored)"
        lines = list(wrap(printable(text), result.matches, console.width - len(_INDENT)))
        hidden = len(lines) - _LINES_SHOWN
        for line in lines[:_LINES_SHOWN] if hidden > 1 else lines:
            console.styled_text((_INDENT + _styled(line, console.styled)).rstrip())
        if hidden > 1:
            console.styled_text(f"{_INDENT}... {hidden} more lines")


def _head(result: Result, styled: bool, file: Path) -> str:
    title = one_line(str(result.metadata.get("title") or ""))
    place = one_line(_place(result, file))
    parts = [f"{result.rank}.", f"{result.score:.2f}", place, title]
    if styled:
        parts[1] = f"{_DIM}{parts[1]}{_PLAIN}"
        parts[2] = f"{_BOLD}{place}{_PLAIN}"
    return "  ".join(part for part in parts if part)


def _place(result: Result, file: Path) -> str:
    path, line = result.metadata.get("path"), result.metadata.get("line")
    if isinstance(path, str) and isinstance(line, int):
        return f"{shown_path(file, path)}:{line}"
    return str(result.id)


@dataclass(frozen=True)
class Span:
    """A stretch of a line."""

    text: str
    bold: bool


def _styled(line: Sequence[Span], styled: bool) -> str:
    if not styled:
        return "".join(span.text for span in line)
    return "".join(f"{_BOLD}{span.text}{_PLAIN}" if span.bold else span.text for span in line)


def wrap(text: str, matches: Sequence[Match], width: int) -> Iterator[list[Span]]:
    """Breaks a passage into lines of at most `width` columns.

    Paragraphs and items of lists are filled; lines of what looks like code or a table are kept, and
    only broken where they are too long."""
    start = 0
    for end in [*(found.start() for found in _BLANK_LINES.finditer(text)), len(text)]:
        if start:
            yield []
        first = len(text[start:end]) - len(text[start:end].lstrip("\n"))
        yield from _paragraph(text, start + first, end, matches, width)
        start = end


def _paragraph(
    text: str, start: int, end: int, matches: Sequence[Match], width: int
) -> Iterator[list[Span]]:
    lines = list(_lines(text, start, end))
    if any(_KEPT.match(text, first, last) for first, last in lines):
        for first, last in lines:
            yield from _fill(text, first, last, matches, width, keep=True)
        return
    starts = [first for first, last in lines if _ITEM.match(text, first, last)]
    if not starts or starts[0] != start:
        starts.insert(0, start)
    for first, last in zip(starts, [*starts[1:], end], strict=True):
        yield from _fill(text, first, last, matches, width, keep=False)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield start, stop
        start = stop + 1


def _fill(
    text: str, start: int, end: int, matches: Sequence[Match], width: int, keep: bool
) -> Iterator[list[Span]]:
    line: list[Span] = []
    used = 0
    for found in _PIECE.finditer(text, start, end):
        if found[0].isspace():
            space = found[0].expandtabs(4) if keep else " "
            if line or keep:
                line.append(Span(space, False))
                used += len(space)
            continue
        columns = _columns(found[0])
        if used + columns > width and any(span.text.strip() for span in line):
            yield line
            line, used = [], 0
        for first, last in _chunks(text, found.start(), found.end(), width):
            if used and used + _columns(text[first:last]) > width:
                yield line
                line, used = [], 0
            line.extend(_marked(text, first, last, matches))
            used += _columns(text[first:last])
    if line:
        yield line


def _chunks(text: str, start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Cuts a run without spaces that is wider than a line."""
    used = 0
    for at in range(start, end):
        columns = _columns(text[at])
        if used and used + columns > width:
            yield start, at
            start, used = at, 0
        used += columns
    yield start, end


def _marked(text: str, start: int, end: int, matches: Sequence[Match]) -> Iterator[Span]:
    for match in matches:
        first, last = max(start, match.start), min(end, match.end)
        if first < last:
            if start < first:
                yield Span(text[start:first], False)
            yield Span(text[first:last], True)
            start = last
    if start < end:
        yield Span(text[start:end], False)


def _columns(text: str) -> int:
    """Columns that `text` takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(mark) else 2 if unicodedata.east_asian_width(mark) in "WF" else 1
        for mark in text
    )
