"""PDF: the text of its pages, by pypdf. The number of a page is the line of its blocks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from mvdb.reading.blocks import Block, bounded_title, paragraphs
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


_PROPERTIES = {
    "author": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "creation_date",
    "modified": "modification_date",
}


def read_pdf(data: bytes) -> Reading:
    """The pages; words that a line's end divides are joined. Unreadable for a file that asks for a
    password or has no text, as scans have none."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        document = PdfReader(io.BytesIO(data))
        if document.is_encrypted and not document.decrypt(""):
            raise Unreadable("asks for a password", "denied")
    except PyPdfError as error:
        raise Unreadable(f"damaged: {error}", "damaged") from error
    found = {name: _property(document, own) for name, own in _PROPERTIES.items()}
    title = bounded_title(str(_property(document, "title") or ""))
    return Reading(_blocks(document), metadata=properties(found), title=title)


def _property(document: Any, name: str) -> Any:
    """A property of the document; None if it has none, or a damaged one."""
    try:
        value = getattr(document.metadata, name, None)
    except Exception:  # pypdf raises many kinds for damaged dates and objects
        return None
    return str(value) if isinstance(value, str) else value


def _blocks(document: Any) -> Iterator[Block]:
    from pypdf.errors import PyPdfError

    found = False
    try:
        for number, page in enumerate(document.pages, 1):
            text = _HYPHEN.sub("", page.extract_text())
            for block in paragraphs(text.split("\n"), 1):
                found = True
                yield Block(block.text, number, number)
    except PyPdfError as error:
        raise Unreadable(f"damaged: {error}", "damaged") from error
    if not found:
        raise Unreadable("has no text (scanned pages?)", "no text")
