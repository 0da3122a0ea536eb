"""The pages of a PDF, as `limited_process` hands them over."""

from __future__ import annotations

import datetime
import io
import logging
from collections.abc import Iterator
from typing import Any

from mvdb.reading.unreadable import told

_PROPERTIES = {
    "author": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "creation_date",
    "modified": "modification_date",
}


def pages(data: bytes) -> Iterator[dict[str, Any]]:
    """What the document says of itself with the number of its pages, then the text of each; or one
    value with the reason why there is none, and its kind (see `Unreadable`)."""
    from pypdf import PdfReader

    logging.disable()  # the library writes about every fault of a file
    try:
        document = PdfReader(io.BytesIO(data))
        if document.is_encrypted and not document.decrypt(""):
            yield {"reason": "asks for a password", "kind": "denied"}
            return
        found = {name: _property(document, own) for name, own in _PROPERTIES.items()}
        title = str(_property(document, "title") or "")
        yield {"title": title, "metadata": found, "pages": len(document.pages)}
        for page in document.pages:
            yield {"text": page.extract_text().encode("utf-8", "replace").decode()}
    except Exception as error:  # of damage: the library meets it everywhere
        message = told(f"{type(error).__name__}: {error}")
        yield {"reason": f"damaged: {message}", "kind": "damaged"}


def _property(document: Any, name: str) -> str | None:
    """A property of the document; None if it has none, or a damaged one."""
    try:
        value = getattr(document.metadata, name, None)
        return value.isoformat() if isinstance(value, datetime.datetime) else value and str(value)
    except Exception:  # pypdf raises many kinds for damaged dates and objects
        return None
