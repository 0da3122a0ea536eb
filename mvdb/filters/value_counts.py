"""In how many documents of a segment has a path a value?

1. Each column has the rows of each value: the rows in question are counted.
2. A document counts once for a value, though two columns may have it: a plain value and an element
   of a list, or the integer 1 and the float 1.0. Only rows that an earlier column has, too, are
   looked up.

The counts are those of the filter `{path: value}`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mvdb.filters.column_blobs import Column, Key, Mask
from mvdb.filters.columns import Columns
from mvdb.filters.ranked_values import KINDS, columns_of

Totals = tuple[dict[Key, int], ...]
"""Documents by value, for each rank."""

_BULK = 4
"""If at least one of so many values counts, all values of a column are decoded together."""


def no_values() -> Totals:
    """Totals of no documents."""
    return tuple({} for _ in KINDS)


def add_values(totals: Totals, columns: Columns, path: str, mask: Mask | None) -> None:
    """Adds the documents of a segment. mask: those that count, by row; None: all."""
    n_documents = columns.index.n_documents
    for rank, total in enumerate(totals):
        earlier: list[Column] = []
        seen = np.zeros(n_documents, np.bool_)
        for column in columns_of(columns, path, rank):
            counted = np.ones(len(column.rows), np.bool_) if mask is None else mask[column.rows]
            if earlier:
                _drop_repeated(column, earlier, counted & seen[column.rows], counted)
            for key, count in _counts(column, counted):
                # The number that stays is an integer if one was met.
                if isinstance(key, int):
                    count += total.pop(key, 0)
                    total[key] = count
                else:
                    total[key] = total.get(key, 0) + count
            earlier.append(column)
            seen[column.rows] = True


def _drop_repeated(column: Column, earlier: list[Column], suspects: Mask, counted: Mask) -> None:
    """Leaves out pairs of value and row that an earlier column has; changes `counted`."""
    postings = np.flatnonzero(suspects)
    numbers = np.searchsorted(column.starts, postings, "right") - 1
    for number in np.unique(numbers).tolist():
        own = postings[numbers == number]
        for other in earlier:
            rows = other.rows_of(*other.span(column.keys[number]))
            counted[own] &= ~np.isin(column.rows[own], rows)


def _counts(column: Column, counted: Mask) -> Iterator[tuple[Key, int]]:
    """Values with the number of their rows that count, where there is any."""
    before = np.zeros(len(counted) + 1, np.int64)
    np.cumsum(counted, out=before[1:])
    by_key = np.diff(before[column.starts])
    used: NDArray[np.intp] = np.flatnonzero(by_key)
    if len(used) * _BULK >= len(by_key):
        keys = column.keys.tolist()
        return zip((keys[i] for i in used.tolist()), by_key[used].tolist(), strict=True)
    return zip((column.keys[i] for i in used.tolist()), by_key[used].tolist(), strict=True)
