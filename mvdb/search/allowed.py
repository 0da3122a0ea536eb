"""Filter and ids to the documents that a search may return."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mvdb.filters.evaluate import bitmap_of
from mvdb.filters.language import Node
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


def matching(
    txn: ReadTransaction, state: State, node: Node | None, among: Allowed | None = None
) -> Allowed:
    """The live documents that a filter matches, or those `among` some; node None: all."""
    allowed = among or state.everything
    if node is None:
        return allowed
    masks = [bitmap_of(node, each.columns(txn), each.order) for each in state.segments]
    return allowed.restricted(masks)


def matching_rows(txn: ReadTransaction, state: State, node: Node | None) -> list[Live | None]:
    """Per segment the live documents that a filter matches, a mask by row; None: all."""
    return by_row(state, matching(txn, state, node))


def matching_keys(txn: ReadTransaction, state: State, node: Node) -> list[bytes]:
    """The keys of the ids of the live documents that a filter matches."""
    keys: list[bytes] = []
    for segment, mask in zip(state.segments, matching_rows(txn, state, node), strict=True):
        rows = np.arange(len(segment)) if mask is None else np.flatnonzero(mask)
        keys += segment.keys(txn, rows)
    return keys


def allowed_by(txn: ReadTransaction, state: State, options: SearchOptions) -> Allowed:
    """The live documents that the filter matches and that `ids` names."""
    allowed = matching(txn, state, options.filter)
    if options.ids is not None:
        allowed = allowed.restricted(_named(txn, state, options.ids))
    return allowed


def without(state: State, allowed: Allowed, document: DocumentRow) -> Allowed:
    """The allowed documents but one."""
    masks = [np.ones(len(segment), bool) for segment in state.segments]
    masks[document.segment][state.segments[document.segment].slot(document.row)] = False
    return allowed.restricted(masks)


def by_row(state: State, allowed: Allowed) -> list[Live | None]:
    """Per segment a mask by row of the allowed documents, or None for all."""
    if allowed is state.everything:
        return state.live
    return [
        None if mask is None else segment.by_row(mask)
        for segment, mask in zip(state.segments, allowed.masks, strict=True)
    ]


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
