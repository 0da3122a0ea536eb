"""The column index of the metadata of one segment: built once from its documents, read from mapped
memory ever after.

``build`` gives blobs: number 0 is the directory of field paths, every other is one column (see
``column_blobs``). A path has a column for each kind of value met there, and separate ones for plain
values and for elements of lists, because ``$contains`` tells them apart. A filter (see ``filters``
for what it means) opens only the columns it names.

    directory = magic, version, documents, column blobs, paths, entries   (4 + 5 * u32)
                u32 offsets of the path text                              (paths + 1)
                u32 first entry of each path                              (paths + 1)
                entries, see ``column_blobs.Entry``                       (20 bytes each)
                paths as UTF-8, sorted, each ended by 0xFF

Bytes are untrusted: anything but what ``build`` writes gives ``CorruptionError`` or a wrong answer,
never another exception.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.filters import column_blobs as blobs
from mvdb.filters.column_blobs import Column, Entry, Mask, RowSet, ValueColumn
from mvdb.filters.language import And, Compare, Contains, Exists, In, Node, Not, Or, Scalar
from mvdb.filters.sorted_values import (
    INT64_MAX,
    INT64_MIN,
    Buffer,
    StringValues,
    encode_big_int,
    encode_bytes,
    texts,
)

# On disk: frozen.
_HEADER = struct.Struct("<4sIIIII")
_MAGIC = b"MVMC"
_VERSION = 1

_NUMBERS = (blobs.INT, blobs.FLOAT, blobs.BIG_INT)


# Building


class _Gathered:
    """The values of one kind at one path: parallel arrays, because a list of Python objects costs
    ten times as much.
    """

    __slots__ = ("kind", "numbers", "rows", "seen")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.rows = array("I")
        self.numbers = array("d" if kind == blobs.FLOAT else "q")
        # Strings and large integers: a number for each, by first appearance.
        self.seen: dict[bytes, int] = {}

    def add(self, row: int, value: Any) -> None:
        self.rows.append(row)
        if self.kind == blobs.FLOAT:
            self.numbers.append(value + 0.0)  # -0.0 is stored as 0.0
        elif self.kind == blobs.INT:
            self.numbers.append(value)
        elif self.kind == blobs.STRING:
            self.numbers.append(self.seen.setdefault(value.encode("utf-8"), len(self.seen)))
        elif self.kind == blobs.BIG_INT:
            self.numbers.append(self.seen.setdefault(encode_big_int(value), len(self.seen)))

    def encode(self, element: bool, blob: int, n_documents: int) -> tuple[Entry, bytes]:
        rows = np.frombuffer(self.rows, dtype=np.uintc).astype(np.uint32, copy=False)
        if self.kind <= blobs.TRUE:
            distinct = np.unique(rows)
            layout, data = blobs.encode_row_set(distinct, n_documents)
            return Entry(self.kind, element, layout, blob if data else 0, 0, len(distinct), 0), data
        n_values, codes, head, text = self._sorted()
        # Rows came in ascending order and stay so within a value.
        order = np.argsort(codes, kind="stable")
        codes, rows = codes[order], rows[order]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = (codes[1:] != codes[:-1]) | (rows[1:] != rows[:-1])
        codes, rows = codes[first], rows[first]
        layout, postings = blobs.encode_postings(codes, rows, n_values, n_documents)
        entry = Entry(self.kind, element, layout, blob, n_values, len(rows), len(text))
        return entry, b"".join((head, postings, text))

    def _sorted(self) -> tuple[int, NDArray[np.intp], bytes, bytes]:
        """Number of distinct values, the code of each value added, and the two parts of the values'
        written form.
        """
        if self.kind in (blobs.INT, blobs.FLOAT):
            dtype = "<i8" if self.kind == blobs.INT else "<f8"
            distinct, codes = np.unique(np.array(self.numbers), return_inverse=True)
            return len(distinct), codes, distinct.astype(dtype).tobytes(), b""
        ordered = sorted(self.seen)
        rank = np.empty(len(ordered), dtype=np.intp)
        rank[[self.seen[value] for value in ordered]] = np.arange(len(ordered))
        offsets, text = encode_bytes(ordered)
        return len(ordered), rank[np.array(self.numbers)], offsets, text


class _Gatherer:
    """Walks documents and sorts their values by path, kind and whether a list has them."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[tuple[int, bool], _Gathered]] = {}

    def document(self, row: int, metadata: Mapping[str, Any]) -> None:
        for key, value in metadata.items():
            if not key.startswith("$"):  # no filter can name it
                self._field(row, key, value)

    def _field(self, row: int, path: str, value: object) -> None:
        self._add(row, path, blobs.EXISTS, False, None)
        self._value(row, path, value, False)

    def _value(self, row: int, path: str, value: object, element: bool) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                self._field(row, path + "." + key, child)
        elif isinstance(value, (list, tuple)):
            for child in value:
                self._value(row, path, child, True)
        else:
            self._add(row, path, _kind(value), element, value)

    def _add(self, row: int, path: str, kind: int, element: bool, value: object) -> None:
        kinds = self.columns.setdefault(path, {})
        column = kinds.get((kind, element))
        if column is None:
            column = kinds[kind, element] = _Gathered(kind)
        column.add(row, value)


def _kind(value: object) -> int:
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


class Builder:
    """Makes the column index of the documents of a segment, given one after the other. What it
    holds is compact: their values, not the documents."""

    def __init__(self) -> None:
        self._gatherer = _Gatherer()
        self._n_documents = 0
        self.is_empty = True
        """Whether no document had any metadata so far."""

    def add(self, metadata: Mapping[str, Any] | None) -> None:
        """The next document; ``None``: it has no metadata. The metadata is what
        ``validate_metadata`` accepts."""
        if metadata:
            self.is_empty = False
            self._gatherer.document(self._n_documents, metadata)
        self._n_documents += 1

    def build(self) -> list[bytes]:
        """The blobs, once. The same documents give the same bytes. Raises ``ValueError`` if the
        strings of one field exceed 4 GiB."""
        columns, n_documents = self._gatherer.columns, self._n_documents
        paths = sorted(columns)  # by code points, as the bytes of UTF-8 are
        starts, entries, result = [0], [], [b""]
        for path in paths:
            kinds = columns.pop(path)
            for kind, element in sorted(kinds):
                entry, data = kinds[kind, element].encode(element, len(result), n_documents)
                entries.append(entry.pack())
                if entry.blob:
                    result.append(data)
            starts.append(len(entries))
        offsets, text = encode_bytes(path.encode("utf-8") for path in paths)
        counts = (n_documents, len(result) - 1, len(paths), len(entries))
        first = np.array(starts, dtype="<u4").tobytes()
        header = _HEADER.pack(_MAGIC, _VERSION, *counts)
        result[0] = b"".join((header, offsets, first, *entries, text))
        return result


def build(metadata: Sequence[Mapping[str, Any] | None]) -> list[bytes]:
    """The column index of a segment whose document ``i`` has ``metadata[i]``; see ``Builder``."""
    builder = Builder()
    for document in metadata:
        builder.add(document)
    return builder.build()


# Reading


class Columns:
    """The columns of a segment, opened as filters name them.

    ``read(i)`` gives blob ``i`` of ``build``; the views must stay valid for as long as this object
    is used. Safe to use from many threads. Raises ``CorruptionError`` for a damaged directory.
    """

    def __init__(self, read: Callable[[int], Buffer], n_documents: int) -> None:
        self._read = read
        self.n_documents = n_documents
        self._opened: dict[int, Column] = {}
        directory = self._blob(0)
        if len(directory) < _HEADER.size:
            raise CorruptionError("metadata directory: too short")
        magic, version, rows, self._n_blobs, n_paths, n_entries = _HEADER.unpack_from(directory)
        if magic != _MAGIC or version != _VERSION or rows != n_documents:
            raise CorruptionError("metadata directory: not the directory of this segment")
        start = _HEADER.size + 4 * (n_paths + 1)
        self._entries_at = start + 4 * (n_paths + 1)
        text = self._entries_at + blobs.ENTRY_SIZE * n_entries
        if len(directory) < text:
            raise CorruptionError("metadata directory: too short")
        u4 = np.dtype("<u4")
        offsets = np.frombuffer(directory, u4, n_paths + 1, _HEADER.size)
        self._directory = directory
        self._paths = StringValues(offsets, directory[text:])
        self._starts = np.frombuffer(directory, u4, n_paths + 1, start)
        self._n_entries = n_entries

    def paths(self) -> Iterator[str]:
        """All field paths, sorted."""
        return texts(self._paths)

    def matching(self, path: str, kind: int, element: bool) -> Column | None:
        """The column of one kind of value at ``path``; ``None`` if no document has any."""
        index = self._paths.cut(path, "left")
        if index == len(self._paths) or self._paths.get(index) != path.encode("utf-8"):
            return None
        for number in self._entry_numbers(index):
            entry = self._entry(number)
            if entry.kind == kind and entry.element == element:
                return self._open(number, entry)
        return None

    def verify(self) -> None:
        """Read everything and check all that can be checked. Raises ``CorruptionError``."""
        self._paths.verify()
        blob = 0
        expected = 0
        for index in range(len(self._paths)):
            numbers = self._entry_numbers(index)
            entries = [self._entry(number) for number in numbers]
            order = [(entry.kind, entry.element) for entry in entries]
            if numbers.start != expected or not order or order != sorted(set(order)):
                raise CorruptionError("metadata directory: its entries are not in order")
            expected = numbers.stop
            for number, entry in zip(numbers, entries, strict=True):
                # Each column belongs to one entry, so that all are read once.
                blob += entry.blob > 0
                if entry.blob not in (0, blob):
                    raise CorruptionError("metadata directory: its columns are not in order")
                self._open(number, entry).verify()
        if expected != self._n_entries or blob != self._n_blobs:
            raise CorruptionError("metadata directory: its columns do not agree with its entries")

    def _entry_numbers(self, index: int) -> range:
        start, end = int(self._starts[index]), int(self._starts[index + 1])
        if not start <= end <= self._n_entries:
            raise CorruptionError("metadata directory: its offsets are damaged")
        return range(start, end)

    def _entry(self, number: int) -> Entry:
        return Entry.unpack(self._directory, self._entries_at + blobs.ENTRY_SIZE * number)

    def _open(self, number: int, entry: Entry) -> Column:
        column = self._opened.get(number)
        if column is None:
            if entry.blob > self._n_blobs:
                raise CorruptionError(
                    "metadata directory: an entry names a column that is not there"
                )
            data = self._blob(entry.blob) if entry.blob else b""
            column = self._opened[number] = blobs.open_column(entry, data, self.n_documents)
        return column

    def _blob(self, index: int) -> memoryview:
        try:
            return memoryview(self._read(index)).cast("B")
        except LookupError:
            raise CorruptionError(f"metadata columns: blob {index} is not there") from None


# Evaluating


def evaluate(node: Node, columns: Columns) -> Mask:
    """Which documents of the segment match: a new bool array of ``n_documents``.

    An equality or a range costs the binary search and its matches (and a pass over one byte per
    document for a field of few values); ``$contains`` of a string reads every distinct string of
    the field.
    """
    if isinstance(node, And):
        return _and(node, columns)
    mask: Mask = np.zeros(columns.n_documents, dtype=np.bool_)
    if isinstance(node, Or):
        for child in node.nodes:
            mask |= evaluate(child, columns)
    elif isinstance(node, Not):
        np.logical_not(evaluate(node.node, columns), out=mask)
    elif isinstance(node, Exists):
        _mark_set(columns, node.path, blobs.EXISTS, False, mask)
    elif isinstance(node, In):
        for element in (False, True):
            _mark_equal(columns, node.path, node.values, element, mask)
    elif isinstance(node, Compare):
        _mark_compared(columns, node, mask)
    else:
        _mark_containing(columns, node, mask)
    return mask


def _and(node: And, columns: Columns) -> Mask:
    mask: Mask = np.ones(columns.n_documents, dtype=np.bool_)
    for child in node.nodes:
        mask &= evaluate(child, columns)
        if not mask.any():
            break
    return mask


def _mark_set(columns: Columns, path: str, kind: int, element: bool, mask: Mask) -> None:
    column = columns.matching(path, kind, element)
    if isinstance(column, RowSet):
        column.mark(mask)


def _mark_equal(
    columns: Columns, path: str, values: Sequence[Scalar], element: bool, mask: Mask
) -> None:
    wanted: dict[int, list[Any]] = {}
    for value in values:
        kind = _kind(value)
        for each in _NUMBERS if kind in _NUMBERS else (kind,):
            wanted.setdefault(each, []).append(value)
    for kind, operands in wanted.items():
        column = columns.matching(path, kind, element)
        if isinstance(column, RowSet):
            column.mark(mask)
        elif column is not None:
            _mark_values(column, operands, mask)


def _mark_values(column: ValueColumn, operands: list[Any], mask: Mask) -> None:
    span: Callable[[Any], tuple[int, int]] = column.values.span
    if len(operands) == 1:
        column.mark(mask, *span(operands[0]))
        return
    found = {start for start, end in map(span, operands) if start < end}
    column.mark_each(mask, np.array(sorted(found), dtype=np.intp))


def _mark_compared(columns: Columns, node: Compare, mask: Mask) -> None:
    kinds = (blobs.STRING,) if isinstance(node.value, str) else _NUMBERS
    for kind in kinds:
        for element in (False, True):
            column = columns.matching(node.path, kind, element)
            if not isinstance(column, ValueColumn):
                continue
            cut: Callable[[Any, Any], int] = column.values.cut
            if node.operator in ("$gt", "$gte"):
                start = cut(node.value, "right" if node.operator == "$gt" else "left")
                column.mark(mask, start, len(column.values))
            else:
                column.mark(mask, 0, cut(node.value, "left" if node.operator == "$lt" else "right"))


def _mark_containing(columns: Columns, node: Contains, mask: Mask) -> None:
    _mark_equal(columns, node.path, (node.value,), True, mask)
    if isinstance(node.value, str):
        column = columns.matching(node.path, blobs.STRING, False)
        if isinstance(column, ValueColumn) and isinstance(column.values, StringValues):
            column.mark_each(mask, column.values.containing(node.value))
