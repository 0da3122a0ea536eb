"""HTML stripped to its text, with headings; by beautifulsoup4."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from mvdb.cli.reading.blocks import Block, Headings, read_plain

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

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
_SPACE = re.compile(r"\s+")


class _Piece(NamedTuple):
    """A string of the document, or the mark in place of a tag."""

    block: tuple[int, str, bool]  # number, tag and being verbatim of the innermost around it
    begun: int  # blocks that began before it
    text: str
    line: int  # 0 for a mark


def read_html(text: str) -> Iterator[Block]:
    """Blocks of an HTML document; its title stands above its headings."""
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XHTML, or a text that looks like a file's name
            soup = BeautifulSoup(text, "html.parser")
    except ParserRejectedMarkup:
        yield from read_plain(text)
        return
    headings = Headings()
    for ((_, tag, verbatim), _), group in groupby(_pieces(soup), key=lambda piece: piece[:2]):
        pieces = list(group)
        words = [piece for piece in pieces if piece.line and piece.text.strip()]
        shown = _shown(pieces, verbatim)
        if words and shown and tag in _HEADINGS:
            headings.enter(_HEADINGS[tag], shown)
        if words and shown and tag != "title":
            start, end = words[0].text, words[-1].text.rstrip()
            first = words[0].line + start[: -len(start.lstrip())].count("\n")
            trail = headings.trail
            once = trail[1:] if trail[:1] == trail[1:2] else trail
            last = words[-1].line + end.count("\n")
            yield Block(shown, first, last, once, verbatim)


def _pieces(soup: BeautifulSoup) -> Iterator[_Piece]:
    from bs4.element import CData, NavigableString, Tag

    for hidden in soup(_HIDDEN):
        hidden.decompose()
    blocks = {id(soup): (0, "", False)}  # around the content of each tag
    begun, line = 0, 1
    for node in soup.descendants:
        block = blocks[id(node.parent)]
        if isinstance(node, Tag):
            line = node.sourceline or line
            if node.name in _BLOCKS:
                begun += 1
                block = begun, node.name, block[2] or node.name == "pre"
            blocks[id(node)] = block
            if node.name in _MARKS:
                yield _Piece(block, begun, _MARKS[node.name], 0)
        else:
            if type(node) in (NavigableString, CData):  # comments are of subclasses
                yield _Piece(block, begun, str(node), line)
            line += str(node).count("\n")


def _shown(pieces: list[_Piece], verbatim: bool) -> str:
    if verbatim:
        return "".join(piece.text for piece in pieces).strip("\n").rstrip()
    # Outside <pre> only marks break a line: the source's own breaks are spaces.
    text = "".join(_SPACE.sub(" ", piece.text) if piece.line else piece.text for piece in pieces)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    # A lone mark is of a list item whose text is a block of its own.
    return "\n".join(line for line in lines if line not in ("", "-"))
