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
    allowed = state.everything
    if options.filter is not None:
        node = options.filter
        matching = [bitmap_of(node, each.columns(txn), each.order) for each in state.segments]
        allowed = allowed.restricted(matching)
    if options.ids is not None:
        allowed = allowed.restricted(_named(txn, state, options.ids))
    return allowed


def _named(txn: ReadTransaction, state: State, keys: Iterable[bytes]) -> list[Live]:
    """Per segment a mask by slot of the documents with these ids; unknown ids are ignored."""
    rows: list[list[int]] = [[] for _ in state.segments]
    for key in keys:
        document = state.find(txn, key)
        if document is not None:
            rows[document.segment].append(document.row)
    masks = [np.zeros(len(segment), bool) for segment in state.segments]
    for segment, mask, own in zip(state.segments, masks, rows, strict=True):
        mask[segment.slots(np.array(own, np.uint32))] = True
    return masks
