"""The group of each document of a segment: the value that its metadata has at a path.

A group is a `SortKey` (see ranked_values.py), equal in all segments. A document of several values,
as in a list, belongs to the least of them. A document without a value, or with null alone, belongs
to no group.

1. The keys of a rank are numbered in their order. A rank with one column has the keys of the
   column. Integers, floats and elements of lists have columns of their own; the keys of several
   columns are merged, so that 1 and 1.0 are one group.
2. The code of a group is the number of its key plus the numbers of keys of the lower ranks. By row
   the least code is kept.
"""

from __future__ import annotations

import bisect
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from mvdb.filters.column_blobs import Column, Key
from mvdb.filters.columns import Columns
from mvdb.filters.ranked_values import KINDS, SortKey, columns_of

NO_GROUP = -1
_NONE = np.iinfo(np.int64).max
_NULL = 0  # rank
_KEY_BYTES = 64
"""Of a merged key in a list, about."""


class GroupCodes:
    """The groups of one segment. Immutable.

    codes: int64 (documents,), by row; NO_GROUP for a document of no group."""

    def __init__(self, columns: Columns, path: str) -> None:
        codes = np.full(columns.index.n_documents, _NONE, np.int64)
        self._ranks: list[_Keys] = []
        first = 0
        for rank in range(_NULL + 1, len(KINDS)):
            own = list(columns_of(columns, path, rank))
            if own:
                keys = _Keys(rank, first, own)
                for column in own:
                    np.minimum(codes, keys.least_by_row(column, len(codes)), out=codes)
                self._ranks.append(keys)
                first += len(keys)
        self.codes: NDArray[np.int64] = np.where(codes == _NONE, NO_GROUP, codes)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays and keys, about."""
        return self.codes.nbytes + sum(keys.nbytes for keys in self._ranks)

    @property
    def is_empty(self) -> bool:
        """Whether no document has a value."""
        return not self._ranks

    def group(self, row: int) -> SortKey | None:
        """The group of a document; None: it belongs to none."""
        code = int(self.codes[row])
        if code == NO_GROUP:
            return None
        keys = self._ranks[bisect.bisect_right(self._ranks, code, key=lambda one: one.first) - 1]
        return keys.rank, keys[code - keys.first]

    def code(self, group: SortKey) -> int | None:
        """The code of a group; None: no document of the segment belongs to it."""
        rank, key = group
        for keys in self._ranks:
            if keys.rank == rank:
                number = keys.find(key)
                return None if number is None else keys.first + number
        return None


class _Keys:
    """The numbered keys of one rank. first: the code of the first key."""

    def __init__(self, rank: int, first: int, columns: Sequence[Column]) -> None:
        self.rank = rank
        self.first = first
        self._column = columns[0] if len(columns) == 1 else None
        self._merged: list[Key] = []
        if self._column is None:
            every = sorted(key for column in columns for key in column.keys.tolist())
            self._merged = [key for at, key in enumerate(every) if not at or every[at - 1] != key]

    @property
    def nbytes(self) -> int:
        return _KEY_BYTES * len(self._merged)

    def __len__(self) -> int:
        return len(self._merged if self._column is None else self._column.keys)

    def __getitem__(self, number: int) -> Key:
        key: Key = self._merged[number] if self._column is None else self._column.keys[number]
        return key

    def find(self, key: Key) -> int | None:
        """The number of a key, or None."""
        if self._column is not None:
            at, end = self._column.span(key)
            return at if at < end else None
        at = bisect.bisect_left(self._merged, key)
        return at if at < len(self._merged) and self._merged[at] == key else None

    def least_by_row(self, column: Column, n_documents: int) -> NDArray[np.int64]:
        """By row the least code in a column."""
        if self._column is not None:
            numbers = np.arange(len(self), dtype=np.int64)
        else:
            keys = column.keys.tolist()
            numbers = np.array([self.find(key) for key in keys], np.int64)
        codes = np.full(n_documents, _NONE, np.int64)
        # Of several assignments to a row the last one stays: that of the least key.
        by_posting = self.first + np.repeat(numbers, np.diff(column.starts))
        codes[column.rows[::-1]] = by_posting[::-1]
        return codes


def group_codes(columns: Columns, path: str) -> GroupCodes:
    """The groups of a segment, kept from an earlier call or made now."""
    key: Hashable = ("groups", path)
    return columns.index.kept(key, lambda: GroupCodes(columns, path))
