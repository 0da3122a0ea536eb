"""The passages around one, in their file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mvdb import arguments
from mvdb.documents import file_identity
from mvdb.errors import InvalidInputError, NotFoundError, shown
from mvdb.types import Document, Hit, Id

_MOST = 10_000


class Getting(Protocol):
    """A database, snapshot or transaction."""

    def get(self, ids: Any, /) -> Sequence[Document | None]: ...


def context(
    db: Getting, passage: Hit | Document | Id, *, before: int = 1, after: int = 1
) -> list[Document]:
    """A passage with those before and after it in its file, in their order.

    Args:
        db: a database, snapshot or transaction.
        passage: a hit, a document or an id.
        before, after: the numbers of passages, 0 to 10,000; there are fewer at the ends of the file
            and where some were deleted.

    Returns:
        The documents. One that is no passage of a file stands alone.

    Raises:
        NotFoundError: there is no document of this id.
        InvalidInputError: a malformed argument.
    """
    if isinstance(passage, (Hit, Document)):
        passage = passage.id
    if isinstance(passage, bool) or not isinstance(passage, (str, int)):
        raise InvalidInputError(f"passage: a hit, document or id is needed, not {shown(passage)}")
    return around(db.get, passage, before, after)


def around(
    get: Callable[[list[Id]], Sequence[Document | None]], passage: Id, before: int, after: int
) -> list[Document]:
    """The same for an id, by a function that gives documents by their ids."""
    arguments.whole_number("before", before, 0, _MOST)
    arguments.whole_number("after", after, 0, _MOST)
    (found,) = get([passage])
    if found is None:
        raise NotFoundError(f"no document has the id {shown(passage)}")
    file = _version(found)
    number = file.number(found.id) if file else None
    if file is None or number is None:
        return [found]
    numbers = range(max(1, number - before), min(file.passages, number + after) + 1)
    documents = get([file_identity.passage_id(file.stem, one) for one in numbers])
    return [one for one in documents if one is not None and _version(one) == file]


def _version(document: Document) -> file_identity.Identity | None:
    """The version of a file that a document is a passage of."""
    return file_identity.parse((document.metadata or {}).get(file_identity.FIELD))
