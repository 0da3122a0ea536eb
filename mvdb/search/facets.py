"""Facets: the values of a field, each with the number of documents that have it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from mvdb.filters.language import Scalar
from mvdb.filters.ranked_values import value_of
from mvdb.filters.value_counts import add_values, no_values
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


def facets(
    txn: ReadTransaction,
    state: State,
    masks: Sequence[Live | None],
    path: str,
    limit: int | None,
) -> list[tuple[Scalar, int]]:
    """The most frequent values of a path first, ties in the order of values. masks: per segment
    the documents that count, by row."""
    totals = no_values()
    for segment, mask in zip(state.segments, masks, strict=True):
        add_values(totals, segment.columns(txn), path, mask)
    everything = (
        (-count, rank, key) for rank, total in enumerate(totals) for key, count in total.items()
    )
    best = sorted(everything) if limit is None else heapq.nsmallest(limit, everything)
    return [(value_of(rank, key), -negative) for negative, rank, key in best]
