"""Text and slides of OpenDocument (.odt, .odp), and books (.epub).

Line numbers count paragraphs, those of a book chapters."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mvdb.reading.archives import opened, within_bounds
from mvdb.reading.blocks import Block, Headings, bounded_title
from mvdb.reading.decoding import decode
from mvdb.reading.html import read_html
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_OPEN_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"


def read_open_document(data: bytes) -> Reading:
    """An OpenDocument text or presentation."""
    with opened(data) as archive:
        root = archive.xml("content.xml")
        about = archive.xml("meta.xml") if "meta.xml" in archive else None
    metadata, title = _about(about)
    return Reading(within_bounds(_paragraphs(root)), metadata=metadata, title=title)


def _about(root: Any) -> tuple[dict[str, Any], str]:
    """Metadata and title that elements of Dublin Core give, as OpenDocument and EPUB have them."""
    found: dict[str, list[str]] = {}
    for node in () if root is None else root.iter("{http://purl.org/dc/elements/1.1/}*"):
        name, text = node.tag.rpartition("}")[2], "".join(node.itertext()).strip()
        found.setdefault("author" if name == "creator" else name, []).append(text)
    joined = {name: ", ".join(filter(None, texts)) for name, texts in found.items()}
    title = bounded_title(joined.pop("title", ""))
    return properties(joined), title


def _paragraphs(root: Any) -> Iterator[Block]:
    headings = Headings()
    for number, node in enumerate(root.iter(_OPEN_TEXT + "h", _OPEN_TEXT + "p"), 1):
        text = "".join(node.itertext()).strip()
        if text and node.tag == _OPEN_TEXT + "h":
            level = node.get(_OPEN_TEXT + "outline-level", "1")
            headings.enter(int(level) if level.isdecimal() and len(level) < 3 else 1, text)
        if text:
            yield Block(text, number, number, headings.trail)


def read_epub(data: bytes) -> Reading:
    """A book, chapter by chapter in reading order; the chapter's number is the line."""
    with opened(data) as archive:
        container = archive.xml("META-INF/container.xml")
        package = next((one.get("full-path") for one in container.iter("{*}rootfile")), None)
        if not package:
            raise Unreadable("its container names no book", "damaged")
        root = archive.xml(package)
    metadata, title = _about(root)
    return Reading(within_bounds(_chapters(data, package, root)), metadata=metadata, title=title)


def _chapters(data: bytes, package: str, root: Any) -> Iterator[Block]:
    places = {item.get("id"): item.get("href", "") for item in root.iter("{*}item")}
    # A chapter that is listed twice is read once.
    order = dict.fromkeys(places.get(entry.get("idref")) for entry in root.iter("{*}itemref"))
    folder = posixpath.dirname(package)
    with opened(data) as archive:
        for number, place in enumerate(filter(None, order), 1):
            name = posixpath.normpath(posixpath.join(folder, unquote(place.partition("#")[0])))
            for block in read_html(decode(archive.read(name)).text).blocks:
                yield Block(block.text, number, number, block.trail, block.verbatim)
