"""Lists of documents, without a query: pages in an order, each read from the state of its moment.

1. A page is made of the documents behind the last one given (search/document_order.py).
2. It is cut where texts and metadata exceed PAGE_BYTES, by the sizes that their blocks state, so
   that memory does not grow with the collection. Then the blocks are read.

Within a snapshot all pages are of one state. Elsewhere a commit between two pages may or may not be
seen; a document whose id and value stay is given once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mvdb import arguments
from mvdb.api import hit_contents
from mvdb.documents import ids as id_keys
from mvdb.documents import metadata, tenants
from mvdb.documents.tenants import Tenant
from mvdb.documents.texts import Stored
from mvdb.errors import InvalidInputError, NotFoundError
from mvdb.filters import language
from mvdb.filters.language import Node
from mvdb.filters.ranked_values import sort_key
from mvdb.search.allowed import matching_rows
from mvdb.search.document_order import Listed, Order, Position, page
from mvdb.search.options import Filter
from mvdb.state.manifest import Manifest
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Document, Id

Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]

IDS_PER_PAGE = 1024
FIRST_DOCUMENTS = 64
"""Documents of the first page. The next ones have up to IDS_PER_PAGE."""
PAGE_BYTES = 8 << 20
"""Texts and metadata of a page, about."""


@dataclass(frozen=True)
class Listing:
    """What to list; see `Database.documents`. tenant: a name as `tenants.agreed` gives it."""

    filter: Node | None
    tenant: str | None
    order: Order
    after: Id | Document | None
    limit: int | None

    @classmethod
    def checked(
        cls,
        filter: Filter | None = None,
        *,
        tenant: str | None,
        order_by: str | None = None,
        descending: bool = False,
        after: Id | Document | None = None,
        limit: int | None = None,
    ) -> Listing:
        """The arguments of a call; InvalidInputError or FilterError for a malformed one."""
        descending = arguments.flag("descending", descending)
        if order_by is None:
            if descending:
                raise InvalidInputError("descending: it needs order_by; ids are listed ascending")
        else:
            order_by = arguments.field_path("order_by", order_by)
        if after is not None:
            _check_after(after)
        return cls(
            None if filter is None else language.parse(filter),
            tenant,
            Order(order_by, descending),
            after,
            None if limit is None else arguments.whole_number("limit", limit, 1),
        )


def _check_after(after: Id | Document) -> None:
    try:
        id_keys.encode(after.id if isinstance(after, Document) else after)
        if isinstance(after, Document) and after.metadata is not None:
            metadata.validate_metadata(after.metadata)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"after: {error}") from None


class Pages:
    """The pages of a listing. Used by one thread at a time."""

    def __init__(self, listing: Listing, reading: Reading) -> None:
        self._listing = listing
        self._reading = reading
        self._position: Position | None = None
        self._begun = False
        self._masks: tuple[Manifest, Tenant, Sequence[Live | None]] | None = None

    def ids(self) -> Iterator[Id]:
        """The ids of all documents of the listing."""
        while True:
            with self._reading() as (txn, state):
                found = self._next(txn, state, IDS_PER_PAGE)
            for one in found:
                yield id_keys.decode(one.position.key)
                self._position = one.position
            if len(found) < IDS_PER_PAGE:
                return

    def documents(self) -> Iterator[Document]:
        """All documents of the listing."""
        left, size = self._listing.limit, FIRST_DOCUMENTS
        while left is None or left > 0:
            wanted = size if left is None else min(size, left)
            with self._reading() as (txn, state):
                found = self._next(txn, state, wanted)
                fitting = found[: _fitting(txn, state, found)]
                contents = _contents(txn, state, fitting)
            for one, stored, n_tokens in contents:
                # Decoded one by one: metadata may take a hundred times its bytes.
                text, fields = hit_contents.decoded(stored)
                yield Document(id_keys.decode(one.position.key), text, fields, n_tokens)
                self._position = one.position
            if len(found) < wanted and len(fitting) == len(found):
                return
            left = None if left is None else left - len(fitting)
            size = min(8 * size, IDS_PER_PAGE)

    def _next(self, txn: ReadTransaction, state: State, size: int) -> list[Listed]:
        listing = self._listing
        # States with one manifest have the same documents.
        if self._masks is None or self._masks[0] is not state.manifest:
            tenant = tenants.find(txn, listing.tenant)
            masks = matching_rows(txn, state, listing.filter, tenant)
            self._masks = state.manifest, tenant, masks
        _, tenant, masks = self._masks
        if not self._begun:
            self._position, self._begun = _position(txn, state, listing, tenant), True
        return page(txn, state, masks, listing.order, self._position, size, tenant)


def _position(
    txn: ReadTransaction, state: State, listing: Listing, tenant: Tenant
) -> Position | None:
    """Where the listing begins; NotFoundError when that needs a document that is not there."""
    after, order = listing.after, listing.order
    if after is None:
        return None
    key = tenant.key(after.id if isinstance(after, Document) else after)
    if order.path is None:
        return Position(None, key)
    if isinstance(after, Document):
        fields = after.metadata
    else:
        place = state.find(txn, key)
        if place is None:
            raise NotFoundError(
                f"after: no document has the id {after!r}, so it has no place in the order; give "
                "the last Document itself"
            )
        fields = hit_contents.decoded(state.segments[place.segment].stored(txn, place.row))[1]
    return Position(sort_key(fields, order.path, greatest=order.descending), key)


def _fitting(txn: ReadTransaction, state: State, found: Sequence[Listed]) -> int:
    """How many of these documents have about PAGE_BYTES; one at least."""
    n_bytes = 0
    sizes: dict[tuple[int, int], int] = {}
    for count, (_, place) in enumerate(found):
        segment = state.segments[place.segment]
        block = segment.block_of(place.row)
        if block is not None:
            key = place.segment, block
            if key not in sizes:
                sizes[key] = segment.mean_bytes(txn, block)
            n_bytes += sizes[key]
        if count > 0 and n_bytes > PAGE_BYTES:
            return count
    return len(found)


def _contents(
    txn: ReadTransaction, state: State, found: Sequence[Listed]
) -> list[tuple[Listed, Stored, int]]:
    """These documents with their texts and metadata, and their numbers of tokens."""
    read = dict(hit_contents.in_blocks(txn, state, [one.document for one in found]))
    return [
        (one, read[one.document], state.segments[one.document.segment].n_tokens(one.document.row))
        for one in found
    ]
