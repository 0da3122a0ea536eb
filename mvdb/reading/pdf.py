"""PDF: the text of its pages, by pypdf. The number of a page is the line of its blocks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from mvdb.reading.blocks import Block, paragraphs
from mvdb.reading.unreadable import Unreadable

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


def read_pdf(data: bytes) -> Iterator[Block]:
    """Blocks of the pages; words that a line's end divides are joined. Unreadable for a file that
    asks for a password or has no text, as scans have none."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        document = PdfReader(io.BytesIO(data))
        if document.is_encrypted and not document.decrypt(""):
            raise Unreadable("asks for a password", "denied")
        found = False
        for number, page in enumerate(document.pages, 1):
            text = _HYPHEN.sub("", page.extract_text())
            for block in paragraphs(text.split("\n"), 1):
                found = True
                yield Block(block.text, number, number)
    except PyPdfError as error:
        raise Unreadable(f"damaged: {error}", "damaged") from error
    if not found:
        raise Unreadable("has no text (scanned pages?)", "no text")
