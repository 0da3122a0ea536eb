"""The pages of a PDF, as `limited_process` hands them over."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

from mvdb.reading.unreadable import shown


def pages(data: bytes) -> Iterator[dict[str, Any]]:
    """For each page its number, that of all, and its text; or one value with the reason why there
    are none, and its kind (see `Unreadable`)."""
    from pypdf import PdfReader

    logging.disable()  # the library writes about every fault of a file
    try:
        document = PdfReader(io.BytesIO(data))
        if document.is_encrypted and not document.decrypt(""):
            yield {"reason": "asks for a password", "kind": "denied"}
            return
        total = len(document.pages)
        for number, page in enumerate(document.pages, 1):
            text = page.extract_text()
            yield {"page": number, "of": total, "text": text}
    except Exception as error:  # of damage: the library meets it everywhere
        message = shown(f"{type(error).__name__}: {error}")
        yield {"reason": f"damaged: {message}", "kind": "damaged"}
