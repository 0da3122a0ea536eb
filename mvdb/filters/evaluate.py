"""Filter to bitmap: which documents of a segment match a filter.

1. A condition names a path; each kind of value there that it can hold for has a column.
2. The operand's position among the sorted keys of the column is found by binary search.
3. The rows of the keys that match are set in the bitmap.
4. `$and`, `$or` and `$not` combine bitmaps.

A condition costs the search and its matches; `$contains` of a string reads every distinct string of
the field.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvdb.filters import column_blobs as blobs
from mvdb.filters.column_blobs import Key, Mask
from mvdb.filters.columns import Columns, kind_of
from mvdb.filters.language import And, Compare, Contains, Exists, In, Node, Not, Or, Scalar
from mvdb.filters.sorted_values import Strings

_NUMBERS = (blobs.INT, blobs.FLOAT, blobs.BIG_INT)
MAX_KEPT_CHARACTERS = 1024
"""Results of longer filters are not kept: the bound of kept bytes does not count their text."""


def bitmap_of(node: Node, columns: Columns, order: NDArray[np.uint32] | None) -> Mask:
    """The result of `evaluate` by slot, kept from an earlier call or made now. Read-only.

    order: the row in each slot; None: slots are rows."""

    def by_slot() -> Mask:
        mask = evaluate(node, columns)
        return mask if order is None else mask[order]

    text = repr(node)  # not the node itself: in Python 1 equals True
    return by_slot() if len(text) > MAX_KEPT_CHARACTERS else columns.index.kept(text, by_slot)


def evaluate(node: Node, columns: Columns) -> Mask:
    """A new array of bool, by row: whether the document matches."""
    if isinstance(node, And):
        mask: Mask = np.ones(columns.index.n_documents, np.bool_)
        for child in node.nodes:
            mask &= evaluate(child, columns)
            if not mask.any():
                break
        return mask
    if isinstance(node, Not):
        return ~evaluate(node.node, columns)
    mask = np.zeros(columns.index.n_documents, np.bool_)
    if isinstance(node, Or):
        for child in node.nodes:
            mask |= evaluate(child, columns)
    elif isinstance(node, Exists):
        _mark_equal(columns, node.path, blobs.EXISTS, [0], (False,), mask)
    elif isinstance(node, In):
        _mark_values(columns, node.path, node.values, (False, True), mask)
    elif isinstance(node, Compare):
        _mark_compared(columns, node, mask)
    else:
        _mark_containing(columns, node, mask)
    return mask


def _mark_values(
    columns: Columns,
    path: str,
    values: Sequence[Scalar],
    elements: Sequence[bool],
    mask: Mask,
) -> None:
    wanted: dict[int, list[Key]] = {}
    for value in values:
        kind = kind_of(value)
        for each in _NUMBERS if kind in _NUMBERS else (kind,):
            wanted.setdefault(each, []).append(_key(value))
    for kind, keys in wanted.items():
        _mark_equal(columns, path, kind, keys, elements, mask)


def _key(value: Scalar) -> Key:
    """The key of a value in columns of its kind: null, false and true are their only key."""
    if isinstance(value, str):
        return value.encode("utf-8")
    return 0 if value is None or isinstance(value, bool) else value


def _mark_equal(
    columns: Columns,
    path: str,
    kind: int,
    keys: Sequence[Key],
    elements: Sequence[bool],
    mask: Mask,
) -> None:
    for element in elements:
        column = columns.column(path, kind, element)
        if column is None:
            continue
        if len(keys) == 1:
            column.mark(mask, *column.span(keys[0]))
        else:
            found = {first for first, last in map(column.span, keys) if first < last}
            column.mark_each(mask, np.fromiter(found, np.intp))


def _mark_compared(columns: Columns, node: Compare, mask: Mask) -> None:
    kinds = (blobs.STRING,) if isinstance(node.value, str) else _NUMBERS
    for kind in kinds:
        for element in (False, True):
            column = columns.column(node.path, kind, element)
            if column is None:
                continue
            below, up_to = column.span(_key(node.value))
            if node.operator in ("$gt", "$gte"):
                first = up_to if node.operator == "$gt" else below
                column.mark(mask, first, len(column.keys))
            else:
                column.mark(mask, 0, below if node.operator == "$lt" else up_to)


def _mark_containing(columns: Columns, node: Contains, mask: Mask) -> None:
    _mark_values(columns, node.path, (node.value,), (True,), mask)
    if isinstance(node.value, str):
        column = columns.column(node.path, blobs.STRING, False)
        if column is not None and isinstance(column.keys, Strings):
            column.mark_each(mask, column.keys.containing(node.value.encode("utf-8")))
