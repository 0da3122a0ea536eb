"""The values of a path in one order, whatever their types: null, false, true, numbers, strings.

A value is a `SortKey`: its rank, the number of its type in this order, and its key in columns.
Numbers compare by exact value, strings by code points, as in filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mvdb.errors import CorruptionError
from mvdb.filters import column_blobs as blobs
from mvdb.filters.column_blobs import Column, Key
from mvdb.filters.columns import Builder, ColumnIndex, Columns
from mvdb.filters.language import Scalar

KINDS = (
    (blobs.NULL,),
    (blobs.FALSE,),
    (blobs.TRUE,),
    (blobs.INT, blobs.FLOAT, blobs.BIG_INT),
    (blobs.STRING,),
)
"""The kinds of column of each rank."""
_CONSTANTS = (None, False, True)

SortKey = tuple[int, Key]
"""Rank and key."""


def columns_of(columns: Columns, path: str, rank: int) -> Iterator[Column]:
    """The columns of a path that have values of a rank: plain ones and elements of lists."""
    for kind in KINDS[rank]:
        for element in (False, True):
            column = columns.column(path, kind, element)
            if column is not None:
                yield column


def value_of(rank: int, key: Key) -> Scalar:
    """The value as metadata has it."""
    if rank < len(_CONSTANTS):
        return _CONSTANTS[rank]
    if not isinstance(key, bytes):
        return key
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptionError("metadata column: a string is not UTF-8") from None


def sort_key(metadata: Mapping[str, Any] | None, path: str, *, greatest: bool) -> SortKey | None:
    """The least value of a document at a path, or the greatest one; None without a value there."""
    builder = Builder()
    builder.add(metadata)
    if builder.is_empty:
        return None
    built = builder.build()
    columns = Columns(ColumnIndex(1, built[0]), built.__getitem__)
    keys = [
        (rank, key)
        for rank in range(len(KINDS))
        for column in columns_of(columns, path, rank)
        for key in column.keys.tolist()
    ]
    return (max if greatest else min)(keys, default=None)
