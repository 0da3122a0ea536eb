"""Documents of Haystack as texts with metadata, and back.

Metadata of a stored document: those of the document, for filters; and under KEY, if there is more
to the document than text and metadata, the rest. mvdb does not index fields whose name begins with
`$`.
"""

from __future__ import annotations

import base64
from typing import Any

from haystack.dataclasses import Document

import mvdb
from mvdb.errors import CorruptionError, InvalidInputError

KEY = "$haystack"
_REST = ("blob", "embedding", "sparse_embedding")
_NO_CONTENT = "no_content"


def text_of(document: Document) -> str:
    """What is stored and encoded."""
    return document.content or ""


def metadata_of(document: Document) -> dict[str, Any]:
    """The metadata to store. Raises InvalidInputError for a name that is in use here."""
    if KEY in document.meta:
        raise InvalidInputError(f"id {document.id!r}: meta must not have the name {KEY!r}")
    fields = document.to_dict(flatten=False)
    rest = {name: fields[name] for name in _REST if fields[name] is not None}
    if document.blob is not None:
        data = base64.b64encode(document.blob.data).decode("ascii")
        rest["blob"] = {**fields["blob"], "data": data}
    if document.content is None:
        rest[_NO_CONTENT] = True
    return {**document.meta, KEY: rest} if rest else dict(document.meta)


def document_of(found: mvdb.Document | mvdb.Hit, score: float | None = None) -> Document:
    """The document that was stored, with the metadata as they are now. CorruptionError when the
    rest of it is not readable."""
    metadata = dict(found.metadata or {})
    rest = metadata.pop(KEY, {})
    try:
        rest = dict(rest)
        content = None if rest.pop(_NO_CONTENT, False) else found.text or ""
        if "blob" in rest:
            data = base64.b64decode(rest["blob"]["data"], validate=True)
            rest["blob"] = {**rest["blob"], "data": data}
        return Document.from_dict(
            {**rest, "id": str(found.id), "content": content, "meta": metadata, "score": score}
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptionError(
            f"id {found.id!r}: no document can be made of {KEY}: {error}"
        ) from error
