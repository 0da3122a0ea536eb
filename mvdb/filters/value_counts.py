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
    for rank, total in enumerate(totals):
        found = list(columns_of(columns, path, rank))
        for at, column in enumerate(found):
            counted = None if mask is None else mask[column.rows]
            if at > 0:
                counted = _first_time(column, found[:at], counted, columns.index.n_documents)
            for key, count in _counts(column, counted):
                # The number that stays is an integer if one was met.
                if isinstance(key, int):
                    count += total.pop(key, 0)
                    total[key] = count
                else:
                    total[key] = total.get(key, 0) + count


def _first_time(
    column: Column, earlier: list[Column], counted: Mask | None, n_documents: int
) -> Mask:
    """Which postings count that no earlier column has."""
    seen = np.zeros(n_documents, np.bool_)
    for other in earlier:
        seen[other.rows] = True
    suspects = seen[column.rows]
    result = np.ones(len(column.rows), np.bool_) if counted is None else counted
    postings = np.flatnonzero(suspects & result)
    numbers = np.searchsorted(column.starts, postings, "right") - 1
    for number in np.unique(numbers).tolist():
        own = postings[numbers == number]
        for other in earlier:
            rows = other.rows_of(*other.span(column.keys[number]))
            result[own] &= ~np.isin(column.rows[own], rows)
    return result


def _counts(column: Column, counted: Mask | None) -> Iterator[tuple[Key, int]]:
    """Values with the number of their postings that count, where there is any. counted: by posting;
    None: all."""
    if counted is None:
        by_key = column.starts[1:] - column.starts[:-1]
    else:
        before = np.zeros(len(counted) + 1, np.uint32)
        np.cumsum(counted, dtype=np.uint32, out=before[1:])
        by_key = before[column.starts[1:]] - before[column.starts[:-1]]
    used = np.flatnonzero(by_key)
    numbers, counts = used.tolist(), by_key[used].tolist()
    if len(numbers) * _BULK >= len(by_key):
        keys = column.keys.tolist()
        return zip((keys[number] for number in numbers), counts, strict=True)
    return zip((column.keys[number] for number in numbers), counts, strict=True)
