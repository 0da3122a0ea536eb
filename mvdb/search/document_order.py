"""Documents in an order, a page at a time: by id, or by the values of a metadata field.

By id, the plan that reads fewer ids is taken:

1. The ids of all documents in question are read and sorted, if they are at most GATHERED.
2. Or the table of ids is walked from the position on, and documents in question are picked.

By a field:

1. The values of all segments are merged in their order, those of documents in question alone.
2. The documents of a value follow each other by id, in one of the two plans above. A document of
   several values stands at the first one.
3. Documents without a value at the path come last.

A page begins behind a position (value and id), whether or not a document is there, and nothing is
kept between two pages. Making a page takes a byte for each document, 9 for each value of the field,
and up to GATHERED ids.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mvdb.documents import id_table
from mvdb.documents.tenants import Tenant
from mvdb.errors import CorruptionError
from mvdb.filters.column_blobs import Column, Key
from mvdb.filters.ranked_values import KINDS, SortKey, columns_of
from mvdb.segment.layout import Row
from mvdb.state.state import DocumentRow, State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction

GATHERED = 1 << 16
"""Ids that are read and sorted for a page, at most: some 8 MB."""
_WALKED = 1024
"""Entries of the table of ids that are located together."""

Rows = Mapping[int, NDArray[np.integer]]
"""Rows of documents, by the index of their segment."""


@dataclass(frozen=True)
class Order:
    """path None: by id."""

    path: str | None = None
    descending: bool = False


class Position(NamedTuple):
    """Where a document stands: its value at the path, None without one or in the order of ids, and
    the key of its id."""

    value: SortKey | None
    key: bytes


class Listed(NamedTuple):
    """A document and where it stands."""

    position: Position
    document: DocumentRow


def page(
    txn: ReadTransaction,
    state: State,
    masks: Sequence[Live | None],
    order: Order,
    after: Position | None,
    size: int,
    tenant: Tenant,
) -> list[Listed]:
    """The first `size` documents behind a position. masks: per segment the documents in question,
    by row; None: all. tenant: to whom all of them belong."""
    if order.path is None:
        found = _by_id(txn, state, masks, None if after is None else after.key, size, tenant)
        return [Listed(Position(None, key), document) for key, document in found]
    return _Page(txn, state, masks, order.path, order.descending, after, size, tenant).listed()


class _Page:
    """One page in the order of the values at a path."""

    def __init__(
        self,
        txn: ReadTransaction,
        state: State,
        masks: Sequence[Live | None],
        path: str,
        descending: bool,
        after: Position | None,
        size: int,
        tenant: Tenant,
    ) -> None:
        self._tenant = tenant
        self._txn = txn
        self._state = state
        self._path = path
        self._descending = descending
        self._after = after
        self._size = size
        self._found: list[Listed] = []
        # Documents in question that do not stand before the next value, by row.
        self._left = [
            np.ones(len(segment), np.bool_) if mask is None else mask.copy()
            for segment, mask in zip(state.segments, masks, strict=True)
        ]

    def listed(self) -> list[Listed]:
        ranks = range(len(KINDS))
        for rank in reversed(ranks) if self._descending else ranks:
            sources = [
                (index, column)
                for index, segment in enumerate(self._state.segments)
                for column in columns_of(segment.columns(self._txn), self._path, rank)
            ]
            for index, column in sources:
                self._skip(rank, index, column)
            for key, group in groupby(self._values(sources), itemgetter(0)):
                self._add_group((rank, key), [entry[1:] for entry in group])
                if len(self._found) == self._size:
                    return self._found
        after = self._after.key if self._after and self._after.value is None else None
        self._add(None, _by_id(self._txn, self._state, self._left, after, self._room, self._tenant))
        return self._found

    @property
    def _room(self) -> int:
        return self._size - len(self._found)

    def _add(self, value: SortKey | None, found: Sequence[tuple[bytes, DocumentRow]]) -> None:
        self._found += (Listed(Position(value, key), document) for key, document in found)

    def _skip(self, rank: int, index: int, column: Column) -> None:
        """Takes out documents whose value stands before the position."""
        if self._after is None:
            return
        rows, left = column.rows, self._left[index]
        if self._after.value is None or (
            rank > self._after.value[0] if self._descending else rank < self._after.value[0]
        ):
            left[rows] = False
        elif rank == self._after.value[0]:
            first, last = column.span(self._after.value[1])
            if self._descending:
                left[rows[column.starts[last] :]] = False
            else:
                left[rows[: column.starts[first]]] = False

    def _values(
        self, sources: Sequence[tuple[int, Column]]
    ) -> Iterator[tuple[Key, int, Column, int]]:
        """The values of documents that are left: each with the index of its segment, a column and
        its number there, in their order."""
        streams = [self._in_column(index, column) for index, column in sources]
        return heapq.merge(*streams, key=itemgetter(0), reverse=self._descending)

    def _in_column(self, index: int, column: Column) -> Iterator[tuple[Key, int, Column, int]]:
        is_left = self._left[index][column.rows]
        counts = column.starts[1:] - column.starts[:-1]
        used = np.zeros(len(counts), np.bool_)
        used[np.repeat(np.arange(len(counts)), counts)[is_left]] = True
        numbers = np.flatnonzero(used)
        for number in (numbers[::-1] if self._descending else numbers).tolist():
            yield column.keys[number], index, column, number

    def _add_group(self, value: SortKey, group: Sequence[tuple[int, Column, int]]) -> None:
        """Adds the documents of a value."""
        rows: dict[int, NDArray[np.integer]] = {}
        for index, column, number in group:
            own = column.rows_of(number, number + 1)
            own = own[self._left[index][own]]
            self._left[index][own] = False
            rows[index] = np.union1d(rows[index], own) if index in rows else own
        after = self._after.key if self._after and self._after.value == value else None
        self._add(value, _rows_by_id(self._txn, self._state, rows, after, self._room, self._tenant))


def _by_id(
    txn: ReadTransaction,
    state: State,
    masks: Sequence[Live | None],
    after: bytes | None,
    size: int,
    tenant: Tenant,
) -> list[tuple[bytes, DocumentRow]]:
    """The first `size` documents of the masks behind an id."""
    counts = [
        len(segment) if mask is None else int(np.count_nonzero(mask))
        for segment, mask in zip(state.segments, masks, strict=True)
    ]
    n = sum(counts)
    if not n or n > GATHERED or n * n > size * state.manifest.live_documents:
        return _walked(txn, state, masks, after, size, tenant) if n else []
    rows = {}
    for index, mask in enumerate(masks):
        if counts[index]:
            rows[index] = np.arange(counts[index]) if mask is None else np.flatnonzero(mask)
    return _gathered(txn, state, rows, after, size)


def _rows_by_id(
    txn: ReadTransaction,
    state: State,
    rows: Rows,
    after: bytes | None,
    size: int,
    tenant: Tenant,
) -> list[tuple[bytes, DocumentRow]]:
    """The first `size` of these documents behind an id."""
    if sum(map(len, rows.values())) <= _WALKED:
        return _gathered(txn, state, rows, after, size)
    masks = [np.zeros(len(segment), np.bool_) for segment in state.segments]
    for index, own in rows.items():
        masks[index][own] = True
    return _by_id(txn, state, masks, after, size, tenant)


def _gathered(
    txn: ReadTransaction, state: State, rows: Rows, after: bytes | None, size: int
) -> list[tuple[bytes, DocumentRow]]:
    entries = (
        (key, DocumentRow(index, Row(row)))
        for index, own in rows.items()
        for key, row in zip(state.segments[index].keys(txn, own), own.tolist(), strict=True)
        if after is None or key > after
    )
    return heapq.nsmallest(size, entries)


def _walked(
    txn: ReadTransaction,
    state: State,
    masks: Sequence[Live | None],
    after: bytes | None,
    size: int,
    tenant: Tenant,
) -> list[tuple[bytes, DocumentRow]]:
    found: list[tuple[bytes, DocumentRow]] = []
    entries = id_table.entries(txn, after, tenant.prefix)
    # If all documents are in question, the first ones are found at once.
    step = min(size, _WALKED)
    while len(found) < size and (chunk := list(islice(entries, step))):
        step = min(2 * step, _WALKED)
        located = state.locate_all([number for _, number in chunk])
        for (key, number), document in zip(chunk, located, strict=True):
            if document is None:
                raise CorruptionError(f"document number {number} has an id but is in no segment")
            mask = masks[document.segment]
            if mask is None or mask[document.row]:
                found.append((key, document))
    return found[:size]
