"""One metadata column on disk: which rows hold a value. The writer and the reader of each layout
stand side by side.

Two families. A *row set* (kinds EXISTS, NULL, FALSE, TRUE) says which rows have something: ``ALL``
(no bytes), ``BITMAP`` (a bit per row, least significant first) or ``ROWS`` (row numbers,
ascending). A *value column* (INT, FLOAT, BIG_INT, STRING) has sorted distinct values and, for each,
its rows: ``GROUPED`` (offsets into row numbers), ``UNIQUE`` (every value in one row: no offsets) or
``CODES`` (at most 255 values, one per row: a byte per row, the number of its value or 255). The
smallest is written.

    value column = int64 or float64 values, or u32 offsets of strings   (values, or values + 1)
                   u32 group offsets                                    (GROUPED: values + 1)
                   row numbers, see ``row_dtype``, or a byte per row    (postings, or documents)
                   text of strings                                      (``Entry.text`` bytes)

All little-endian. The directory entry gives every size, so a blob of another length is refused
before it is looked at. What a query touches is checked as it is touched, which keeps its cost at
the number of its matches; ``verify`` checks everything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.filters.sorted_values import (
    BigIntValues,
    Buffer,
    FloatValues,
    IntValues,
    StringValues,
    Values,
)

# On disk: frozen.
EXISTS, NULL, FALSE, TRUE, INT, FLOAT, BIG_INT, STRING = range(8)
ALL, BITMAP, ROWS, GROUPED, UNIQUE, CODES = range(6)
NO_CODE = 255

_ENTRY = struct.Struct("<BBBBIIII")
ENTRY_SIZE = _ENTRY.size
_SET_KINDS = (EXISTS, NULL, FALSE, TRUE)
_VALUE_KINDS = (INT, FLOAT, BIG_INT, STRING)
_FIXED_KINDS = (INT, FLOAT)

Mask = NDArray[np.bool_]
Unsigned = NDArray[np.unsignedinteger[Any]]


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
        kind, element, layout, zero, blob, values, postings, text = _ENTRY.unpack_from(data, offset)
        if kind in _SET_KINDS:
            known = layout in (ALL, BITMAP, ROWS) and values == 0 and (blob == 0) == (layout == ALL)
        else:
            known = kind in _VALUE_KINDS and layout in (GROUPED, UNIQUE, CODES) and blob > 0
        if not known or element > 1 or zero or (text and kind in (*_SET_KINDS, *_FIXED_KINDS)):
            raise CorruptionError("metadata directory: an entry is damaged or of an unknown kind")
        return cls(kind, bool(element), layout, blob, values, postings, text)


def row_dtype(n_documents: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Row numbers take two bytes where they fit."""
    return np.dtype("<u2") if n_documents <= 2**16 else np.dtype("<u4")


# Row sets


def encode_row_set(rows: NDArray[np.uint32], n_documents: int) -> tuple[int, bytes]:
    """Layout and bytes of a set of ascending, distinct rows."""
    if len(rows) == n_documents:
        return ALL, b""
    dtype = row_dtype(n_documents)
    if len(rows) * dtype.itemsize <= (n_documents + 7) // 8:
        return ROWS, rows.astype(dtype).tobytes()
    mask = np.zeros(n_documents, dtype=np.bool_)
    mask[rows] = True
    return BITMAP, np.packbits(mask, bitorder="little").tobytes()


class RowSet:
    """Which rows are in a set."""

    def __init__(self, entry: Entry, data: Buffer, n_documents: int) -> None:
        self._entry = entry
        self._n_documents = n_documents
        if entry.postings > n_documents or (entry.layout == ALL and entry.postings != n_documents):
            raise CorruptionError("metadata column: more rows than documents")
        dtype = np.dtype(np.uint8) if entry.layout == BITMAP else row_dtype(n_documents)
        count = {ALL: 0, BITMAP: (n_documents + 7) // 8, ROWS: entry.postings}[entry.layout]
        _require_size(data, count * dtype.itemsize)
        self._data: Unsigned = _array(data, dtype, count, 0)

    def mark(self, mask: Mask) -> None:
        """Set ``mask`` at the rows of the set."""
        if self._entry.layout == ALL:
            mask[:] = True
        elif self._entry.layout == BITMAP:
            bits = np.unpackbits(self._data, count=self._n_documents, bitorder="little")
            mask |= bits.view(np.bool_)
        else:
            _set(mask, self._data)

    def verify(self) -> None:
        if not self._is_as_written():
            raise CorruptionError("metadata column: a set of rows is not in its written form")

    def _is_as_written(self) -> bool:
        """In time that follows the bytes there are, not the documents."""
        layout, count, n_documents = self._entry.layout, self._entry.postings, self._n_documents
        if layout == ALL:
            return True
        is_short = count * row_dtype(n_documents).itemsize <= (n_documents + 7) // 8
        if count == n_documents or is_short != (layout == ROWS):
            return False
        data = self._data
        if layout == ROWS:
            in_order = not np.any(data[1:] <= data[:-1])
            return in_order and (count == 0 or int(data[-1]) < n_documents)
        padding = int(data[-1]) >> n_documents % 8 if n_documents % 8 else 0
        return padding == 0 and int(np.unpackbits(data).sum()) == count


# Value columns


def encode_postings(
    codes: NDArray[np.intp], rows: NDArray[np.uint32], n_values: int, n_documents: int
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


class ValueColumn:
    """Sorted values and their rows. ``values`` is asked where a range of values lies, ``mark`` sets
    its rows.
    """

    def __init__(self, entry: Entry, data: Buffer, n_documents: int) -> None:
        self._entry = entry
        self._n_documents = n_documents
        self._check_counts()
        n_values = entry.values
        fixed = entry.kind in _FIXED_KINDS
        head = 8 * n_values if fixed else 4 * (n_values + 1)
        n_groups = n_values + 1 if entry.layout == GROUPED else 0
        dtype = np.dtype(np.uint8) if entry.layout == CODES else row_dtype(n_documents)
        n_rows = n_documents if entry.layout == CODES else entry.postings
        text = head + 4 * n_groups + dtype.itemsize * n_rows
        _require_size(data, text + entry.text)
        self._groups: Unsigned = _array(data, np.dtype("<u4"), n_groups, head)
        self._rows: Unsigned = _array(data, dtype, n_rows, head + 4 * n_groups)
        self.values: Values = _values(entry.kind, data, n_values, text)

    def _check_counts(self) -> None:
        values, postings, layout = self._entry.values, self._entry.postings, self._entry.layout
        if not 0 < values <= postings or (layout == UNIQUE and values != postings):
            raise CorruptionError("metadata column: the counts of its values do not agree")
        if layout == CODES and (values > NO_CODE or postings > self._n_documents):
            raise CorruptionError("metadata column: the counts of its values do not agree")

    def mark(self, mask: Mask, start: int, end: int) -> None:
        """Set ``mask`` at the rows of the values ``start`` to ``end`` (exclusive)."""
        if start >= end:
            return
        if self._entry.layout == CODES:
            if end - start == 1:
                mask |= self._rows == start
            else:  # unsigned: codes below the start wrap round to large ones
                mask |= self._rows - np.uint8(start) < np.uint8(end - start)
        elif self._entry.layout == UNIQUE:
            _set(mask, self._rows[start:end])
        else:
            first, last = int(self._groups[start]), int(self._groups[end])
            if not first <= last <= len(self._rows):
                raise CorruptionError("metadata column: its row offsets are damaged")
            _set(mask, self._rows[first:last])

    def mark_each(self, mask: Mask, indexes: NDArray[np.intp]) -> None:
        """Set ``mask`` at the rows of several values, whose indexes are ascending and distinct."""
        if self._entry.layout == CODES:
            wanted = np.zeros(NO_CODE + 1, dtype=np.bool_)
            wanted[indexes] = True
            mask |= wanted[self._rows]
        elif self._entry.layout == UNIQUE:
            _set(mask, self._rows[indexes])
        else:
            first = self._groups[indexes].astype(np.int64)
            last = self._groups[indexes + 1].astype(np.int64)
            edges = np.stack((first, last), axis=1).ravel()
            # Ranges in order cannot overlap: damaged ones could otherwise ask for any amount of
            # memory.
            if len(edges) and (edges[-1] > len(self._rows) or np.any(edges[1:] < edges[:-1])):
                raise CorruptionError("metadata column: its row offsets are damaged")
            sizes = last - first
            skipped = np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
            _set(mask, self._rows[skipped + np.arange(len(skipped))])

    def verify(self) -> None:
        self.values.verify()
        n_values, postings = self._entry.values, self._entry.postings
        if self._entry.layout == CODES:
            counts = np.bincount(self._rows, minlength=NO_CODE + 1)[:NO_CODE]
            if counts.sum() != postings or np.flatnonzero(counts).tolist() != list(range(n_values)):
                raise CorruptionError("metadata column: its codes are damaged")
            return
        if np.any(self._rows >= self._n_documents):
            raise CorruptionError("metadata column: a row number is beyond the documents")
        if self._entry.layout == GROUPED:
            offsets = self._groups.astype(np.int64)
            if offsets[0] != 0 or offsets[-1] != postings or np.any(np.diff(offsets) <= 0):
                raise CorruptionError("metadata column: its row offsets are damaged")
            falling = np.flatnonzero(np.diff(self._rows.astype(np.int64)) <= 0) + 1
            if not np.all(np.isin(falling, offsets)):
                raise CorruptionError("metadata column: the rows of a value are not in order")


def _values(kind: int, data: Buffer, n_values: int, text: int) -> Values:
    if kind == INT:
        return IntValues(_array(data, np.dtype("<i8"), n_values, 0))
    if kind == FLOAT:
        return FloatValues(_array(data, np.dtype("<f8"), n_values, 0))
    strings = StringValues if kind == STRING else BigIntValues
    return strings(_array(data, np.dtype("<u4"), n_values + 1, 0), memoryview(data)[text:])


Column = RowSet | ValueColumn


def open_column(entry: Entry, data: Buffer, n_documents: int) -> Column:
    """A reader over the bytes of a column. Raises ``CorruptionError`` if they are not as long as
    the entry says.
    """
    if entry.kind in _SET_KINDS:
        return RowSet(entry, data, n_documents)
    return ValueColumn(entry, data, n_documents)


def _array(data: Buffer, dtype: np.dtype[Any], count: int, offset: int) -> NDArray[Any]:
    """A view, whatever the alignment. The caller has checked the size."""
    if count == 0:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(data, dtype=dtype, count=count, offset=offset)


def _require_size(data: Buffer, size: int) -> None:
    if len(data) != size:
        fault = f"{len(data)} bytes where its directory entry says {size}"
        raise CorruptionError(f"metadata column: {fault}")


def _set(mask: Mask, rows: Unsigned) -> None:
    try:
        mask[rows] = True
    except IndexError:
        raise CorruptionError("metadata column: a row number is beyond the documents") from None
