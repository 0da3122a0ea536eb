"""Markdown: headings, code, tables and paragraphs; by markdown-it-py.

The parser says which lines are which; text is taken from the source, inline markup as it is. It
takes 40 us and 1.6 kB for a heading, so it is given only what needs it:

1. The document is divided where no block reaches over: at headings (``# ...``), at fences and, in
   long stretches, at blank lines before lines without indentation; not within HTML.
2. A part is not parsed if no line of it can be other than text of paragraphs, lists and quotes.
3. A part without such a place for MOST_PARSED characters is read as paragraphs: some shapes take
   the parser quadratic time. So is what comes when MOST_PARSED_IN_ALL characters were parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from mvdb.reading.blocks import MOST_ALONE, Block, Headings, lines_of, paragraphs

MOST_PARSED = 1 << 18
"""Characters of a part that is parsed."""
MOST_PARSED_IN_ALL = 1 << 20
"""Characters of a document that are parsed, which takes 2 s where all of it is tables."""
_LONG = 1 << 15
"""Characters from which on a part ends at a blank line."""
_VERBATIM = frozenset({"fence", "code_block", "table_open"})
_HTML_BLOCKS = """
    address article aside base basefont blockquote body caption center col colgroup dd details
    dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6
    head header hr html iframe legend li link main menu menuitem nav noframes ol optgroup option p
    param search section summary table tbody td tfoot th thead title tr track ul
"""
"""The tags that begin a block of HTML wherever they stand (CommonMark 4.6)."""
_EVENT = re.compile(
    r"^(?:(?P<heading>\#{1,6})(?:[ \t]+(?P<title>.*))?$"
    r"|(?P<place>[ \t>*+\-\d.)]*)(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})"
    r"| {0,3}<(?P<html>!--|\?|!\[CDATA\[|![A-Z]|(?:script|pre|style|textarea)\b"
    rf"|/?(?:{'|'.join(_HTML_BLOCKS.split())})(?=[\s/>])"
    r"|/?[A-Z][A-Z\d-]*(?:\s[^<>\n]*|/)?>[ \t]*$))",
    re.MULTILINE | re.IGNORECASE,
)
_CLOSED_BY = {"!--": "-->", "?": "?>", "![cdata[": "]]>", "script": "</script>", "pre": "</pre>"}
_CLOSED_BY |= {"style": "</style>", "textarea": "</textarea>"}
_BLANK = re.compile(r"^[ \t]*\n(?=\S)", re.MULTILINE)
_OUTSIDE = re.compile(r"^(?=\S)", re.MULTILINE)
_EMPTY = re.compile(r"^[ \t]*$", re.MULTILINE)
_NEEDS_PARSER = re.compile(
    r"^(?: {0,3}\t| {4}| {0,3}\#|[ \t>*+\-\d.)]*(?:`{3}|~{3})| {0,3}(?:=+|-+)[ \t]*$"
    r"|[ \t>*+\d.)]*[|:\-][|: \t\-]*$| {0,3}(?:[*+\-]|\d+[.)])(?: {5}| *\t))",
    re.MULTILINE,
)


@cache
def _parser() -> Any:
    """The parser, made once: a notebook has a document of Markdown in each cell."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


def read_markdown(text: str) -> Iterator[Block]:
    """Blocks of a Markdown document."""
    parser = _parser()  # even where no part needs it, so that a missing library is noted
    headings = Headings()
    line, told, left = 1, 0, MOST_PARSED_IN_ALL
    for start, end, found in _parts(text):
        if told >= MOST_ALONE:
            yield from paragraphs(lines_of(text[start:]), line, headings.trail)
            return
        part = text[start:end]
        is_short = found is None and len(part) <= min(MOST_PARSED, left)
        needed = parser if is_short and _NEEDS_PARSER.search(part) else None
        left -= len(part) if needed else 0
        for block in _blocks(part, line, headings, found, needed):
            told += 1
            yield block
        line += part.count("\n")


def _blocks(
    part: str, line: int, headings: Headings, found: re.Match[str] | None, parser: Any
) -> Iterator[Block]:
    """Blocks of a part, whose first line has a number. parser: None if it needs none."""
    if found is not None and found["heading"]:
        mark, title = found.group("heading", "title")
        title = _without_closing_marks(title.strip()) if title else ""
        headings.enter(len(mark), title)
        if title:
            yield Block(part.strip(), line, line, headings.trail)
    elif found is not None:
        yield _code(part, line, headings.trail)
    elif parser is not None:
        yield from _parsed(parser, part, line, headings)
    else:
        is_table = part[:100].lstrip().startswith("|")
        yield from paragraphs(lines_of(part), line, headings.trail, verbatim=is_table)


def _parts(text: str) -> Iterator[tuple[int, int, re.Match[str] | None]]:
    """Beginning and end of the parts; of a heading or a fence, what was found of it."""
    start = at = 0
    while True:
        found = _EVENT.search(text, at)
        stop = found.start() if found else len(text)
        while stop - start > _LONG:
            blank = _BLANK.search(text, max(at, start + _LONG), stop)
            if blank is None:
                break
            yield start, blank.end(), None
            start = at = blank.end()
        if found is None:
            break
        at = _end(text, found)
        # A fence without indentation is in no list.
        if found["heading"] or (found["fence"] and not found["place"]):
            if start < stop:
                yield start, stop, None
            yield stop, at, found
            start = at
    if start < len(text):
        yield start, len(text), None


def _without_closing_marks(title: str) -> str:
    if not title.endswith("#"):
        return title
    kept = title.rstrip("#")
    return kept.rstrip() if not kept or kept[-1] in " \t" else title


def _end(text: str, opened: re.Match[str]) -> int:
    if opened["heading"]:
        return _next_line(text, opened.end())
    return _end_of_html(text, opened) if opened["html"] else _end_of_fence(text, opened)


def _end_of_fence(text: str, opened: re.Match[str]) -> int:
    fence = opened["fence"]
    if opened["place"].strip():  # in an item of a list or a quote, which ends without indentation
        outside = _OUTSIDE.search(text, _next_line(text, opened.end()))
        return outside.start() if outside else len(text)
    closes = re.compile(rf"^[ \t>]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
    closed = closes.search(text, _next_line(text, opened.end()))
    return _next_line(text, closed.end()) if closed else len(text)


def _end_of_html(text: str, opened: re.Match[str]) -> int:
    kind = opened["html"].lower()
    mark = _CLOSED_BY.get(kind) or (">" if kind[0] == "!" else None)
    if mark is None:
        blank = _EMPTY.search(text, _next_line(text, opened.end()))
        return blank.start() if blank else len(text)
    closed = re.compile(re.escape(mark), re.IGNORECASE).search(text, opened.end())
    return _next_line(text, closed.end()) if closed else len(text)


def _next_line(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _code(part: str, line: int, trail: tuple[str, ...]) -> Block:
    text = "\n".join(line.rstrip() for line in part.rstrip().split("\n"))
    return Block(text, line, line + text.count("\n"), trail, verbatim=True)


def _parsed(parser: Any, text: str, number: int, headings: Headings) -> Iterator[Block]:
    """Blocks of a part, whose first line has this number."""
    lines = text.split("\n")
    done = 0  # lines that are in blocks
    tokens = parser.parse(text)
    for place, token in enumerate(tokens):
        heading = token.type == "heading_open" and token.level == 0
        if token.map is None or not (heading or token.type in _VERBATIM):
            continue
        first, end = token.map
        yield from paragraphs(lines[done:first], done + number, headings.trail)
        done = end
        while end > first and not lines[end - 1].strip():
            end -= 1
        if heading:
            title = tokens[place + 1].content
            headings.enter(int(token.tag[1:]), title)
            if title.strip():
                # A rule of = or - below a title is markup; # before it goes with the text.
                shown = lines[first : end - (token.markup in "=-")]
                text = "\n".join(shown).strip()
                yield Block(text, first + number, end + number - 1, headings.trail)
        elif end > first:
            yield _code("\n".join(lines[first:end]), first + number, headings.trail)
    yield from paragraphs(lines[done:], done + number, headings.trail)
