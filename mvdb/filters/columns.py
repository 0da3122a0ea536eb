"""The column index of the metadata of one segment: built once from its documents, decoded once per
open segment.

``Builder`` gives blobs: number 0 is the directory of field paths, every other is one column (see
``column_blobs``). A path has a column for each kind of value met there, and separate ones for plain
values and for elements of lists, because ``$contains`` tells them apart. A filter (see
``language``) reads only the columns it names.

    directory = magic, version, documents, column blobs, paths, entries   (4 + 5 * u32)
                u32 offsets of the path text                              (paths + 1)
                u32 first entry of each path                              (paths + 1)
                entries, see ``column_blobs.Entry``                       (20 bytes each)
                paths as UTF-8, sorted, each ended by 0xFF

Bytes are untrusted: bytes that ``Builder`` does not write give ``CorruptionError`` or a wrong
answer, never another exception.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.filters import column_blobs as blobs
from mvdb.filters.column_blobs import Column, Entry
from mvdb.filters.sorted_values import Buffer, Strings, encode_big_int, encode_strings
from mvdb.storage.format import Record
from mvdb.storage.invariants import ascends, require

# On disk: frozen.
_HEADER = Record("4sIIIII")
_MAGIC = b"MVMC"
_VERSION = 1

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
KEPT_BYTES = 1 << 16
KEPT_BYTES_PER_DOCUMENT = 64
"""An open segment keeps decoded columns, bitmaps of filters, and groups, of at most KEPT_BYTES and
so many more per document: three columns of distinct numbers (8 bytes for a key, 4 for its first
posting, 2 or 4 for its row) and 16 bitmaps, or two groupings. The least recently used are dropped
first."""

_WHERE = "metadata directory"
Read = Callable[[int], Buffer]
"""Gives a blob by its number; LookupError or CorruptionError when it is missing."""


def kind_of(value: object) -> int:
    """The kind of column that holds a value."""
    if isinstance(value, str):
        return blobs.STRING
    if value is None:
        return blobs.NULL
    if isinstance(value, bool):
        return blobs.TRUE if value else blobs.FALSE
    if isinstance(value, int):
        return blobs.INT if INT64_MIN <= value <= INT64_MAX else blobs.BIG_INT
    if isinstance(value, float):
        return blobs.FLOAT
    raise TypeError(f"metadata: JSON has no {type(value).__name__}")


# Building


class _Values:
    """The values of one kind at one path: parallel arrays, because a list of Python objects takes
    ten times as much memory."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._rows = array("I")
        self._numbers = array("d" if kind == blobs.FLOAT else "q")
        # Strings and large integers: a number for each, by first appearance.
        self._seen: dict[bytes, int] = {}

    def add(self, row: int, value: Any) -> None:
        self._rows.append(row)
        if self._kind == blobs.FLOAT:
            self._numbers.append(value + 0.0)  # -0.0 is stored as 0.0
        elif self._kind == blobs.INT:
            self._numbers.append(value)
        elif self._kind > blobs.TRUE:
            is_string = self._kind == blobs.STRING
            key = value.encode("utf-8") if is_string else encode_big_int(value)
            self._numbers.append(self._seen.setdefault(key, len(self._seen)))

    def encode(self, element: bool, blob: int, n_documents: int) -> tuple[Entry, bytes]:
        rows = np.frombuffer(self._rows, dtype=np.uintc).astype(np.uint32, copy=False)
        if self._kind <= blobs.TRUE:
            rows = np.unique(rows)
            layout, data = blobs.encode_row_set(rows, n_documents)
            return Entry(self._kind, element, layout, blob if data else 0, 0, len(rows), 0), data
        n_values, codes, head, text = self._sorted()
        # Rows came in ascending order and stay so within a value.
        order = np.argsort(codes, kind="stable")
        codes, rows = codes[order], rows[order]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = (codes[1:] != codes[:-1]) | (rows[1:] != rows[:-1])
        codes, rows = codes[first], rows[first]
        layout, postings = blobs.encode_postings(codes, rows, n_values, n_documents)
        entry = Entry(self._kind, element, layout, blob, n_values, len(rows), len(text))
        return entry, b"".join((head, postings, text))

    def _sorted(self) -> tuple[int, NDArray[np.intp], bytes, bytes]:
        """Number of distinct values, the code of each value added, and the two parts of the values'
        written form.
        """
        if self._kind in (blobs.INT, blobs.FLOAT):
            dtype = "<i8" if self._kind == blobs.INT else "<f8"
            distinct, codes = np.unique(np.array(self._numbers), return_inverse=True)
            return len(distinct), codes, distinct.astype(dtype).tobytes(), b""
        ordered = sorted(self._seen)
        rank = np.empty(len(ordered), dtype=np.intp)
        rank[[self._seen[value] for value in ordered]] = np.arange(len(ordered))
        offsets, text = encode_strings(ordered)
        return len(ordered), rank[np.array(self._numbers)], offsets, text


class Builder:
    """Makes the column index of the documents of a segment, given one after the other. Holds their
    values, sorted by path, kind and whether a list has them, not the documents."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[tuple[int, bool], _Values]] = {}
        self._n_documents = 0
        self.is_empty = True
        """Whether no document had any metadata so far."""

    def add(self, metadata: Mapping[str, Any] | None) -> None:
        """The next document; ``None``: it has no metadata. The metadata is what
        ``validate_metadata`` accepts."""
        if metadata:
            self.is_empty = False
            for key, value in metadata.items():
                if not key.startswith("$"):  # no filter can name it
                    self._field(key, value)
        self._n_documents += 1

    def _field(self, path: str, value: object) -> None:
        self._add(path, blobs.EXISTS, False, None)
        self._value(path, value, False)

    def _value(self, path: str, value: object, element: bool) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                self._field(path + "." + key, child)
        elif isinstance(value, (list, tuple)):
            for child in value:
                self._value(path, child, True)
        else:
            self._add(path, kind_of(value), element, value)

    def _add(self, path: str, kind: int, element: bool, value: object) -> None:
        kinds = self._columns.setdefault(path, {})
        column = kinds.get((kind, element))
        if column is None:
            column = kinds[kind, element] = _Values(kind)
        column.add(self._n_documents, value)

    def build(self) -> list[bytes]:
        """The blobs, once. The same documents give the same bytes. Raises ``ValueError`` if the
        strings of one field exceed 4 GiB."""
        paths = sorted(self._columns)  # by code points, as the bytes of UTF-8 are
        starts, entries, result = [0], [], [b""]
        for path in paths:
            kinds = self._columns.pop(path)
            for kind, element in sorted(kinds):
                values = kinds[kind, element]
                entry, data = values.encode(element, len(result), self._n_documents)
                entries.append(entry.pack())
                if entry.blob:
                    result.append(data)
            starts.append(len(entries))
        offsets, text = encode_strings(path.encode("utf-8") for path in paths)
        counts = (self._n_documents, len(result) - 1, len(paths), len(entries))
        first = np.array(starts, dtype="<u4").tobytes()
        header = _HEADER.pack(_MAGIC, _VERSION, *counts)
        result[0] = b"".join((header, offsets, first, *entries, text))
        return result


# Reading

ColumnKey = tuple[str, int, bool]
"""Path, kind, and whether the values are elements of lists."""


class Sized(Protocol):
    """What an open segment can keep."""

    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=Sized)


class ColumnIndex:
    """Entries of the columns of an open segment, and the decoded columns, bitmaps and groups that
    were used last. Thread-safe: at worst two threads make the same one."""

    def __init__(self, n_documents: int, directory: Buffer | None = None) -> None:
        """directory: blob 0; None: no document has metadata. Raises ``CorruptionError``."""
        self.n_documents = n_documents
        self.entries = {} if directory is None else _entries(directory, n_documents)
        self._kept: dict[Hashable, Any] = {}  # the least recently used first
        self._limit = KEPT_BYTES + KEPT_BYTES_PER_DOCUMENT * n_documents

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """The column, bitmap or groups kept under a key; made now if none are."""
        found: Kept | None = self._kept.pop(key, None)
        is_new = found is None
        result = make() if found is None else found
        if result.nbytes <= self._limit:
            self._kept[key] = result
        if is_new:
            kept = list(self._kept.items())
            excess = sum(one.nbytes for _, one in kept) - self._limit
            for oldest, one in kept:
                if excess <= 0:
                    break
                self._kept.pop(oldest, None)
                excess -= one.nbytes
        return result


@dataclass(frozen=True)
class Columns:
    """The columns of a segment, read in one transaction."""

    index: ColumnIndex
    read: Read

    def column(self, path: str, kind: int, element: bool) -> Column | None:
        """The column of one kind of value at ``path``; ``None`` if no document has any."""
        key = (path, kind, element)
        entry = self.index.entries.get(key)
        return None if entry is None else self.index.kept(key, lambda: self._decoded(entry))

    def verify(self) -> None:
        """Reads everything and checks all that can be checked. Raises ``CorruptionError``."""
        for entry in self.index.entries.values():
            column, data = self._decoded(entry), self._blob(entry)
            blobs.verify(entry, column, data, self.index.n_documents)

    def _decoded(self, entry: Entry) -> Column:
        return blobs.decode(entry, self._blob(entry), self.index.n_documents)

    def _blob(self, entry: Entry) -> memoryview:
        try:
            return memoryview(self.read(entry.blob) if entry.blob else b"").cast("B")
        except LookupError:
            raise CorruptionError(f"{_WHERE}: column {entry.blob} is missing") from None


def _entries(directory: Buffer, n_documents: int) -> dict[ColumnKey, Entry]:
    """The entries in a directory, whose columns are in their order."""
    header, _ = _HEADER.unpack_head(directory, _WHERE)
    magic, version, rows, n_blobs, n_paths, n_entries = header
    is_ours = magic == _MAGIC and version == _VERSION and rows == n_documents
    require(is_ours, _WHERE, "not the directory of this segment")
    starts_at = _HEADER.size + 4 * (n_paths + 1)
    entries_at = starts_at + 4 * (n_paths + 1)
    text = entries_at + blobs.ENTRY_SIZE * n_entries
    require(len(directory) >= text, _WHERE, "too short")
    offsets = np.frombuffer(directory, "<u4", n_paths + 1, _HEADER.size)
    starts = np.frombuffer(directory, "<u4", n_paths + 1, starts_at)
    cuts = starts[0] == 0 and starts[-1] == n_entries and ascends(starts)
    require(bool(cuts), _WHERE, "its offsets are damaged")
    paths = Strings(offsets, memoryview(directory)[text:])
    paths.verify()
    result: dict[ColumnKey, Entry] = {}
    n_before, last = 0, (-1, False)
    for path, first, end in zip(paths, starts.tolist(), starts[1:].tolist(), strict=False):
        for number in range(first, end):
            at = entries_at + blobs.ENTRY_SIZE * number
            entry = Entry.unpack(directory, at)
            key = (entry.kind, entry.element)
            require(number == first or last < key, _WHERE, "its entries are not in order")
            # Each column belongs to one entry, so that all are read once.
            n_before, last = n_before + (entry.blob > 0), key
            require(entry.blob in (0, n_before), _WHERE, "its columns are not in order")
            result[path.decode("utf-8"), entry.kind, entry.element] = entry
    require(n_before == n_blobs, _WHERE, "its columns do not agree with its entries")
    return result
