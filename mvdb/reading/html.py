"""HTML stripped to its text, with headings; by lxml, whose time is linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from mvdb.reading.blocks import Block, Headings, bounded_title, read_plain
from mvdb.reading.json_values import properties
from mvdb.reading.noise import without_noise
from mvdb.reading.result import Reading

_HIDDEN = ("script", "style", "noscript", "template", "svg", "math", "iframe", "object")
_HEADINGS = {"title": 0, **{f"h{level}": level for level in range(1, 7)}}
_BLOCK_TAGS = """
    address article aside blockquote body caption center details dialog dir div dl fieldset
    figcaption figure footer form header hgroup hr html legend main menu nav ol optgroup p pre
    section select summary table tbody tfoot thead ul
"""
_BLOCKS = {*_BLOCK_TAGS.split(), *_HEADINGS}
# Text in place of tags that begin a line or leave a gap within a block.
_MARKS = dict.fromkeys(("br", "tr", "dt", "dd", "option"), "\n")
_MARKS |= {"td": " ", "th": " ", "li": "\n- "}
_OF_DISPLAY = frozenset(
    [
        "viewport",
        "robots",
        "referrer",
        "generator",
        "theme-color",
        "color-scheme",
        "format-detection",
    ]
)
_SPACE = re.compile(r"\s+")
_TAG = re.compile(r"<[^<>]*>")
# Of a tag with very many attributes the parser's time is quadratic.
_LONG_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9:-]{0,30}(?![a-zA-Z0-9:-]))[^<>]{1000,}")
MOST_TAGS = 1_500_000
"""Of a document that is parsed: the parser takes 120 to 220 bytes for each tag and attribute."""


class _Piece(NamedTuple):
    """A string of the document, or the mark in place of a tag."""

    block: tuple[int, str, bool]  # number, tag and being verbatim of the innermost around it
    begun: int  # blocks that began before it
    text: str
    line: int  # 0 for a mark


def read_html(text: str) -> Reading:
    """An HTML document; its title stands above its headings."""
    text = _LONG_TAG.sub(_shortened, text)
    few = text.count("<") + text.count("=") <= MOST_TAGS
    root, whole = _parsed(text) if few else (None, False)
    if not whole:
        return Reading(read_plain(without_noise(_TAG.sub(" ", text))))
    if root is None:
        return Reading(())
    title = bounded_title(root.findtext("./head/title") or "")
    return Reading(_blocks(root), metadata=_metadata(root), title=title)


def _shortened(tag: re.Match[str]) -> str:
    """The tag without attributes; those of `<meta>` may be a long description."""
    return tag[0] if tag[1].lower() == "meta" and len(tag[0]) < 10_000 else f"<{tag[1]}"


def _blocks(root: Any) -> Iterator[Block]:
    headings = Headings()
    for ((_, tag, verbatim), _), group in groupby(_pieces(root), key=lambda piece: piece[:2]):
        pieces = list(group)
        words = [piece for piece in pieces if piece.line and piece.text.strip()]
        shown = without_noise(_shown(pieces, verbatim)).strip("\n")
        if words and shown and tag in _HEADINGS:
            headings.enter(_HEADINGS[tag], shown)
        if words and shown and tag != "title":
            start, end = words[0].text, words[-1].text.rstrip()
            first = words[0].line + start[: -len(start.lstrip())].count("\n")
            trail = headings.trail
            once = trail[1:] if trail[:1] == trail[1:2] else trail
            last = words[-1].line + end.count("\n")
            yield Block(shown, first, last, once, verbatim)


def _parsed(text: str) -> tuple[Any, bool]:
    """The root of the document, None for one without anything; whether all of it was parsed: the
    parser stops below a depth of 2,048."""
    from lxml import etree

    # Given as UTF-8: what the text says of its encoding has been heeded.
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(text.replace("\0", " ").encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:  # of an empty document
        root = None
    limit = etree.ErrorTypes.ERR_RESOURCE_LIMIT
    return root, all(entry.type != limit for entry in parser.error_log)


def _metadata(root: Any) -> dict[str, Any]:
    """What ``<meta name=... content=...>`` says of the document, not of its display."""
    found: dict[str, str] = {}
    for node in root.iterfind("./head/meta"):
        name, content = node.get("name", "").strip().lower(), node.get("content", "").strip()
        if name and content and name not in _OF_DISPLAY:
            found.setdefault(name, content)
    return properties(found)


def _pieces(root: Any) -> Iterator[_Piece]:
    begun, line = 0, 1
    # Around the content of each open element: its block.
    blocks: list[tuple[int, str, bool]] = [(0, "", False)]
    for event, node in _walk(root):
        block = blocks[-1]
        if event == "start":
            line = max(line, node.sourceline or 0)
            if node.tag in _BLOCKS:
                begun += 1
                block = begun, node.tag, block[2] or node.tag == "pre"
            blocks.append(block)
            if node.tag in _MARKS:
                yield _Piece(block, begun, _MARKS[node.tag], 0)
        elif event == "end":
            blocks.pop()
        else:
            yield _Piece(block, begun, node, line)
            line += node.count("\n")


def _walk(root: Any) -> Iterator[tuple[str, Any]]:
    """Starts, ends and texts, in the document's order; nothing of what is hidden."""
    from lxml import etree

    hidden = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        is_hidden = node.tag in _HIDDEN or not isinstance(node.tag, str)
        if event == "start":
            hidden += is_hidden
            if not hidden:
                yield "start", node
                if node.text:
                    yield "text", node.text
            continue
        if not hidden:
            yield "end", node
        hidden -= is_hidden
        if not hidden and node.tail:
            yield "text", node.tail


def _shown(pieces: list[_Piece], verbatim: bool) -> str:
    if verbatim:
        return "".join(piece.text for piece in pieces).strip("\n").rstrip()
    # Outside <pre> only marks break a line: the source's own breaks are spaces.
    text = "".join(_SPACE.sub(" ", piece.text) if piece.line else piece.text for piece in pieces)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    # A lone mark is of a list item whose text is a block of its own.
    return "\n".join(line for line in lines if line not in ("", "-"))
