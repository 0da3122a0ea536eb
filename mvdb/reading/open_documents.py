"""Text and slides of OpenDocument (.odt, .odp), and books (.epub).

Line numbers count paragraphs, those of a book chapters."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

from mvdb.reading.archives import opened
from mvdb.reading.blocks import Block, Headings
from mvdb.reading.decoding import decode
from mvdb.reading.html import read_html
from mvdb.reading.unreadable import Unreadable

_OPEN_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def read_open_document(data: bytes) -> Iterator[Block]:
    """Blocks of an OpenDocument text or presentation."""
    with opened(data) as archive:
        root = archive.xml("content.xml")
    headings = Headings()
    for number, node in enumerate(root.iter(_OPEN_TEXT + "h", _OPEN_TEXT + "p"), 1):
        text = "".join(node.itertext()).strip()
        if text and node.tag == _OPEN_TEXT + "h":
            level = node.get(_OPEN_TEXT + "outline-level", "1")
            headings.enter(int(level) if level.isdecimal() and len(level) < 3 else 1, text)
        if text:
            yield Block(text, number, number, headings.trail)


def read_epub(data: bytes) -> Iterator[Block]:
    """Blocks of a book, chapter by chapter in reading order; the chapter's number is the line."""
    with opened(data) as archive:
        container = archive.xml("META-INF/container.xml")
        package = next((one.get("full-path") for one in container.iter("{*}rootfile")), None)
        if not package:
            raise Unreadable("its container names no book", "damaged")
        root = archive.xml(package)
        places = {item.get("id"): item.get("href", "") for item in root.iter("{*}item")}
        # A chapter that is listed twice is read once.
        order = dict.fromkeys(places.get(entry.get("idref")) for entry in root.iter("{*}itemref"))
        folder = posixpath.dirname(package)
        for number, place in enumerate(filter(None, order), 1):
            name = posixpath.normpath(posixpath.join(folder, unquote(place.partition("#")[0])))
            for block in read_html(decode(archive.read(name)).text):
                yield Block(block.text, number, number, block.trail, block.verbatim)
