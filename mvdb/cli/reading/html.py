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
_MARKS = {
    **dict.fromkeys(("br", "tr", "dt", "dd", "option"), "\n"),
    **dict.fromkeys(("td", "th"), " "),
    "li": "\n- ",
}
_SPACE = re.compile(r"\s+")


class _Place(NamedTuple):
    """The innermost block around a string."""

    number: int
    name: str
    hidden: bool
    verbatim: bool


class _Piece(NamedTuple):
    """A string of the document, or the mark in place of a tag."""

    place: _Place
    begun: int  # blocks that began before it
    text: str
    line: int | None  # None for a mark


def read_html(text: str) -> Iterator[Block]:
    """Blocks of an HTML document; its title stands above its headings.

    Raises:
        ImportError: beautifulsoup4 is not installed."""
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
    for (place, _), group in groupby(_pieces(soup), key=lambda piece: piece[:2]):
        pieces = list(group)
        words = [piece for piece in pieces if piece.line and piece.text.strip()]
        shown = _shown(pieces, place.verbatim)
        if not words or not shown:
            continue
        if place.name in _HEADINGS:
            headings.enter(_HEADINGS[place.name], shown)
        if place.name != "title":
            first, last = (_lines(piece) for piece in (words[0], words[-1]))
            trail = headings.trail
            once = trail[1:] if trail[:1] == trail[1:2] else trail
            yield Block(shown, first[0], last[1], once, place.verbatim)


def _lines(piece: _Piece) -> tuple[int, int]:
    """The first and the last line of a string's words."""
    first = (piece.line or 0) + piece.text[: -len(piece.text.lstrip())].count("\n")
    return first, first + piece.text.strip().count("\n")


def _pieces(soup: BeautifulSoup) -> Iterator[_Piece]:
    from bs4.element import CData, NavigableString, Tag

    places = {id(soup): _Place(0, "", False, False)}
    begun, line = 0, 1
    for node in soup.descendants:
        place = places[id(node.parent)]
        if isinstance(node, Tag):
            line = node.sourceline or line
            begun += node.name in _BLOCKS
            if node.name in _BLOCKS:
                place = place._replace(number=begun, name=node.name)
            hidden, verbatim = node.name in _HIDDEN, node.name == "pre"
            place = place._replace(
                hidden=place.hidden or hidden, verbatim=place.verbatim or verbatim
            )
            places[id(node)] = place
            if node.name in _MARKS and not place.hidden:
                yield _Piece(place, begun, _MARKS[node.name], None)
        else:
            # Strings of scripts, styles, templates and comments are of subclasses.
            if type(node) in (NavigableString, CData) and not place.hidden:
                yield _Piece(place, begun, str(node), line)
            line += str(node).count("\n")


def _shown(pieces: list[_Piece], verbatim: bool) -> str:
    if verbatim:
        return "".join(piece.text for piece in pieces).strip("\n").rstrip()
    # Outside <pre> only marks break a line: the source's own breaks are spaces.
    text = "".join(_SPACE.sub(" ", piece.text) if piece.line else piece.text for piece in pieces)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    # A lone mark is of a list item whose text is a block of its own.
    return "\n".join(line for line in lines if line not in ("", "-"))
