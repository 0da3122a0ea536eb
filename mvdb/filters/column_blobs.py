"""One metadata column: its layouts on disk, and the one layout in memory that all filters use.

On disk a column of kind EXISTS, NULL, FALSE or TRUE is a set of rows: ``ALL`` (no bytes),
``BITMAP`` (a bit per row, least significant first) or ``ROWS`` (row numbers, ascending). One of
kind INT, FLOAT, BIG_INT or STRING has sorted distinct values and, for each, its rows: ``GROUPED``
(offsets into row numbers), ``UNIQUE`` (every value in one row: no offsets) or ``CODES`` (at most
255 values, one per row: a byte per row, the number of its value or 255). The smallest is written.

    value column = int64 or float64 values, or u32 offsets of strings   (values, or values + 1)
                   u32 group offsets                                    (GROUPED: values + 1)
                   row numbers, see ``row_dtype``, or a byte per row    (postings, or documents)
                   text of strings                                      (``Entry.text`` bytes)

All little-endian. In memory every column is a ``Column``: sorted keys and the rows of each. A set
of rows has one key. Bytes are untrusted: every filter can read a column that ``decode`` accepts.
The order of strings and the choice of the layout are checked by ``verify`` alone.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.filters.sorted_values import Buffer, Strings, decode_big_int
from mvdb.storage.format import Record
from mvdb.storage.invariants import ascends, is_cut, require

# On disk: frozen.
EXISTS, NULL, FALSE, TRUE, INT, FLOAT, BIG_INT, STRING = range(8)
ALL, BITMAP, ROWS, GROUPED, UNIQUE, CODES = range(6)
NO_CODE = 255

_ENTRY = Record("BBBBIIII")
ENTRY_SIZE = _ENTRY.size
_WHERE = "metadata column"

Mask = NDArray[np.bool_]
Rows = NDArray[np.unsignedinteger[Any]]
Key: TypeAlias = int | float | bytes
Keys: TypeAlias = "memoryview | NDArray[np.object_] | Strings"
"""Ascending keys. Python's numbers, which compare exactly between int and float of any size, or
UTF-8, whose order is that of code points."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A column in the directory. ``element``: the values are elements of lists. ``blob`` 0 means
    there are no bytes.
    """

    kind: int
    element: bool
    layout: int
    blob: int
    values: int
    postings: int
    text: int

    def pack(self) -> bytes:
        sizes = (self.values, self.postings, self.text)
        return _ENTRY.pack(self.kind, self.element, self.layout, 0, self.blob, *sizes)

    @classmethod
    def unpack(cls, data: Buffer, offset: int) -> Entry:
        fields = _ENTRY.unpack(data[offset : offset + ENTRY_SIZE], "metadata directory")
        kind, element, layout, zero, blob, values, postings, text = fields
        if kind <= TRUE:
            known = layout in (ALL, BITMAP, ROWS) and values == 0 and (blob == 0) == (layout == ALL)
        else:
            known = kind <= STRING and layout in (GROUPED, UNIQUE, CODES) and blob > 0
        if not known or element > 1 or zero or (text and kind not in (BIG_INT, STRING)):
            raise CorruptionError("metadata directory: an entry is damaged or of an unknown kind")
        return cls(kind, bool(element), layout, blob, values, postings, text)


def row_dtype(n_documents: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Row numbers take two bytes where they fit."""
    return np.dtype("<u2") if n_documents <= 2**16 else np.dtype("<u4")


# Writing


def encode_row_set(rows: NDArray[Any], n_documents: int) -> tuple[int, bytes]:
    """Layout and bytes of a set of ascending, distinct rows."""
    if len(rows) == n_documents:
        return ALL, b""
    dtype = row_dtype(n_documents)
    if len(rows) * dtype.itemsize <= (n_documents + 7) // 8:
        return ROWS, rows.astype(dtype).tobytes()
    mask = np.zeros(n_documents, dtype=np.bool_)
    mask[rows] = True
    return BITMAP, np.packbits(mask, bitorder="little").tobytes()


def encode_postings(
    codes: NDArray[np.intp], rows: NDArray[Any], n_values: int, n_documents: int
) -> tuple[int, bytes]:
    """Layout and bytes of the rows of every value, from pairs sorted by code, then row, without
    duplicates.
    """
    dtype = row_dtype(n_documents)
    row_bytes = len(rows) * dtype.itemsize
    sizes = {GROUPED: 4 * (n_values + 1) + row_bytes}
    if len(rows) == n_values:
        sizes[UNIQUE] = row_bytes
    if n_values <= NO_CODE and np.bincount(rows).max(initial=0) <= 1:
        sizes[CODES] = n_documents
    layout = min(sizes, key=lambda candidate: (sizes[candidate], candidate))
    if layout == CODES:
        by_row = np.full(n_documents, NO_CODE, dtype=np.uint8)
        by_row[rows] = codes
        return CODES, by_row.tobytes()
    if layout == UNIQUE:
        return UNIQUE, rows.astype(dtype).tobytes()
    offsets = np.searchsorted(codes, np.arange(n_values + 1)).astype("<u4")
    return GROUPED, offsets.tobytes() + rows.astype(dtype).tobytes()


# Reading


@dataclass(frozen=True)
class Column:
    """Key ``i`` is in ``rows[starts[i]:starts[i + 1]]``, ascending. Immutable."""

    keys: Keys
    starts: NDArray[np.uint32]
    rows: Rows

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.keys.nbytes + self.starts.nbytes + self.rows.nbytes

    def position(self, key: Key) -> int:
        """The number of keys below ``key``."""
        if isinstance(self.keys, Strings):
            assert isinstance(key, bytes)
            return self.keys.position(key)
        return bisect.bisect_left(self.keys, key)

    def span(self, key: Key) -> tuple[int, int]:
        """The number of keys below ``key``, and of those below it or equal to it."""
        at = self.position(key)
        return at, at + (at < len(self.keys) and bool(self.keys[at] == key))

    def rows_of(self, first: int, last: int) -> Rows:
        """The rows of the keys ``first`` to ``last`` (exclusive)."""
        return self.rows[self.starts[first] : self.starts[last]]

    def mark(self, mask: Mask, first: int, last: int) -> None:
        """Sets ``mask`` at the rows of the keys ``first`` to ``last`` (exclusive)."""
        mask[self.rows_of(first, last)] = True

    def mark_each(self, mask: Mask, keys: NDArray[np.intp]) -> None:
        """Sets ``mask`` at the rows of several keys, given by their distinct indexes."""
        firsts = self.starts[keys].astype(np.int64)
        sizes = self.starts[keys + 1] - firsts
        skipped = np.repeat(firsts - (np.cumsum(sizes) - sizes), sizes)
        mask[self.rows[skipped + np.arange(len(skipped))]] = True


def decode(entry: Entry, data: Buffer, n_documents: int) -> Column:
    """The column in ``data``. Raises ``CorruptionError`` unless every row and offset is valid."""
    n, postings = entry.values, entry.postings
    if entry.kind <= TRUE:
        rows = _row_set(entry, data, n_documents)
        require(len(rows) == postings, _WHERE, "it has not as many rows as its entry says")
        return Column(memoryview(b"\0"), np.array([0, postings], np.uint32), rows)
    require(0 < n <= postings, _WHERE, "the counts of its values do not agree")
    n_starts = n + 1 if entry.layout == GROUPED else 0
    dtype = np.dtype(np.uint8) if entry.layout == CODES else row_dtype(n_documents)
    n_rows = n_documents if entry.layout == CODES else postings
    head = _head(entry)
    text = head + 4 * n_starts + dtype.itemsize * n_rows
    _require_size(data, text + entry.text)
    starts: NDArray[Any] = _array(data, "<u4", n_starts, head)
    stored = _array(data, dtype, n_rows, head + 4 * n_starts)
    if entry.layout == CODES:
        starts, rows = _grouped(stored, n, n_documents)
    elif entry.layout == UNIQUE:
        starts, rows = np.arange(n + 1, dtype=np.uint32), stored
    else:
        rows = stored
    require(is_cut(starts, postings), _WHERE, "its row offsets are damaged")
    require(int(rows.max()) < n_documents, _WHERE, "a row number is beyond the documents")
    return Column(_keys(entry.kind, data, n, text), starts, rows)


def verify(entry: Entry, column: Column, data: Buffer, n_documents: int) -> None:
    """Raises ``CorruptionError`` unless the strings and rows of a decoded column are in order, and
    its rows encode to the same bytes."""
    rows, starts = column.rows, column.starts
    if isinstance(column.keys, Strings):
        column.keys.verify()
    falls = np.flatnonzero(rows[1:] <= rows[:-1]) + 1
    require(bool(np.isin(falls, starts).all()), _WHERE, "the rows of a value are not in order")
    if entry.kind <= TRUE:
        layout, written = encode_row_set(rows, n_documents)
    else:
        n = len(column.keys)
        codes = np.repeat(np.arange(n), np.diff(starts))
        layout, written = encode_postings(codes, rows, n, n_documents)
    stored = memoryview(data)[_head(entry) : len(data) - entry.text]
    as_written = layout == entry.layout and stored == written
    require(as_written, _WHERE, "its rows are not in their written form")


def _head(entry: Entry) -> int:
    """Bytes in front of the rows: values, or offsets of strings."""
    if entry.kind <= TRUE:
        return 0
    return 8 * entry.values if entry.kind in (INT, FLOAT) else 4 * (entry.values + 1)


def _row_set(entry: Entry, data: Buffer, n_documents: int) -> Rows:
    if entry.layout == ALL:
        _require_size(data, 0)
        return np.arange(n_documents, dtype=row_dtype(n_documents))
    if entry.layout == BITMAP:
        _require_size(data, (n_documents + 7) // 8)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        rows = np.flatnonzero(bits).astype(row_dtype(n_documents))
    else:
        dtype = row_dtype(n_documents)
        _require_size(data, entry.postings * dtype.itemsize)
        rows = _array(data, dtype, entry.postings, 0)
        require(ascends(rows), _WHERE, "its rows are not in order")
    fits = len(rows) == 0 or int(rows[-1]) < n_documents
    require(fits, _WHERE, "a row number is beyond the documents")
    return rows


def _grouped(
    codes: NDArray[np.uint8], n_values: int, n_documents: int
) -> tuple[NDArray[np.uint32], Rows]:
    """Rows by value, from a byte per row."""
    counts = np.bincount(codes, minlength=NO_CODE + 1)[:NO_CODE]
    require(not counts[n_values:].any(), _WHERE, "its codes are damaged")
    starts = np.concatenate([[0], np.cumsum(counts[:n_values])]).astype(np.uint32)
    order = np.argsort(codes, kind="stable")[: int(starts[-1])]
    return starts, order.astype(row_dtype(n_documents))


def _keys(kind: int, data: Buffer, n_values: int, text: int) -> Keys:
    if kind in (INT, FLOAT):
        dtype = np.dtype("<i8" if kind == INT else "<f8")
        values = _array(data, dtype, n_values, 0).astype(dtype.newbyteorder("="))
        in_order = bool((values[1:] > values[:-1]).all() and np.isfinite(values).all())
        require(in_order, _WHERE, "numbers are not finite and in order")
        return values.data
    strings = Strings(_array(data, "<u4", n_values + 1, 0), memoryview(data)[text:])
    if kind == STRING:
        return strings
    numbers = [decode_big_int(stored) for stored in strings]
    in_order = all(before < after for before, after in pairwise(numbers))
    require(in_order, _WHERE, "large integers are not in order")
    return np.array(numbers, dtype=object)


def _array(data: Buffer, dtype: Any, count: int, offset: int) -> NDArray[Any]:
    """A view, whatever the alignment. The caller has checked the size."""
    if count == 0:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, count, offset)


def _require_size(data: Buffer, size: int) -> None:
    fault = f"{len(data)} bytes where its directory entry says {size}"
    require(len(data) == size, _WHERE, fault)
