"""Filter and ids to the documents that a search may return."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mvdb.filters.evaluate import bitmap_of
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


def allowed_by(txn: ReadTransaction, state: State, options: SearchOptions) -> Allowed:
    """The live documents that the filter matches and that `ids` names."""
    if options.filter is None and options.ids is None:
        return state.everything
    masks = state.live
    if options.filter is not None:
        node = options.filter
        masks = _both(masks, (bitmap_of(node, each.columns(txn)) for each in state.segments))
    if options.ids is not None:
        masks = _both(masks, _named(txn, state, options.ids))
    return Allowed(state.segments, masks)


def _both(masks: Iterable[Live | None], others: Iterable[Live]) -> list[Live | None]:
    """Per segment the rows that both masks have; None has all."""
    pairs = zip(masks, others, strict=True)
    return [other if mask is None else mask & other for mask, other in pairs]


def _named(txn: ReadTransaction, state: State, keys: Iterable[bytes]) -> list[Live]:
    """Per segment the rows of documents with these ids; unknown ids are ignored."""
    masks = [np.zeros(len(segment), bool) for segment in state.segments]
    for key in keys:
        document = state.find(txn, key)
        if document is not None:
            masks[document.segment][document.row] = True
    return masks
