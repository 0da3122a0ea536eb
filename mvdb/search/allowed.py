"""Filter and ids to the documents that a search may return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mvdb.filters.evaluate import bitmap_of
from mvdb.filters.language import Node
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


def allowed_by(txn: ReadTransaction, state: State, options: SearchOptions) -> Allowed:
    """The live documents that the filter matches and that `ids` names."""
    allowed = state.everything
    if options.filter is not None:
        allowed = matching(txn, state, allowed, options.filter)
    if options.ids is not None:
        allowed = allowed.restricted(_named(txn, state, options.ids))
    return allowed


def matching(txn: ReadTransaction, state: State, allowed: Allowed, filter: Node) -> Allowed:
    """Those of the allowed documents that a filter matches."""
    masks = [bitmap_of(filter, each.columns(txn), each.order) for each in state.segments]
    return allowed.restricted(masks)


def by_row(state: State, allowed: Allowed) -> Sequence[Live | None]:
    """Per segment a mask by row of the allowed documents, or None for all."""
    if allowed is state.everything:
        return state.live
    masks: list[Live | None] = []
    for i, segment in enumerate(state.segments):
        slots = allowed.slots(i)
        mask = np.zeros(len(segment), bool)
        mask[slots if segment.order is None else segment.order[slots]] = True
        masks.append(mask)
    return masks


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
