"""Filter and ids to the documents that a search may return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mvdb import core
from mvdb.documents.tenants import Tenant
from mvdb.filters.evaluate import bitmap_of
from mvdb.filters.language import Node
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


def matching(txn: ReadTransaction, state: State, node: Node | None, among: Allowed) -> Allowed:
    """The documents among these that a filter matches; None: all."""
    if node is None or not among.total:
        return among
    masks = [bitmap_of(node, each.columns(txn), each.order) for each in state.segments]
    return among.restricted(masks)


def matching_rows(
    txn: ReadTransaction, state: State, node: Node | None, tenant: Tenant
) -> Sequence[Live | None]:
    """Per segment the live documents of a tenant that a filter matches, a mask by row; None:
    all."""
    return by_row(state, matching(txn, state, node, state.documents_of(txn, tenant)))


def matching_keys(txn: ReadTransaction, state: State, node: Node, tenant: Tenant) -> list[bytes]:
    """The keys of the ids of the live documents of a tenant that a filter matches."""
    allowed, keys = matching(txn, state, node, state.documents_of(txn, tenant)), []
    for index, segment in enumerate(state.segments):
        slots = allowed.slots(index)
        rows = slots if segment.order is None else segment.order[slots]
        keys += segment.keys(txn, np.sort(rows))
    return keys


def allowed_by(
    txn: ReadTransaction, state: State, options: SearchOptions, tenant: Tenant
) -> Allowed:
    """The live documents of a tenant that the filter matches and that `ids` names."""
    allowed = matching(txn, state, options.filter, state.documents_of(txn, tenant))
    if options.ids is not None:
        allowed = allowed.restricted(_named(txn, state, options.ids, tenant))
    return allowed


def without(state: State, allowed: Allowed, document: DocumentRow) -> Allowed:
    """The allowed documents but one."""
    slot = state.segments[document.segment].slot(document.row)
    return allowed.without(document.segment, slot)


def by_row(state: State, allowed: Allowed) -> Sequence[Live | None]:
    """Per segment a mask by row of the allowed documents, or None for all."""
    if allowed is state.everything:
        return state.live
    masks = [allowed.mask(index) for index in range(len(state.segments))]
    return [
        None if mask is None else segment.by_row(mask)
        for segment, mask in zip(state.segments, masks, strict=True)
    ]


def _named(
    txn: ReadTransaction, state: State, keys: Iterable[bytes], tenant: Tenant
) -> list[core.Numbers]:
    """Per segment the slots of the documents with these ids; unknown ids are ignored."""
    rows: list[set[int]] = [set() for _ in state.segments]
    for key in keys:
        document = state.find(txn, tenant.prefix + key)
        if document is not None:
            rows[document.segment].add(document.row)
    return [
        np.sort(segment.slots(np.fromiter(own, np.uint32, len(own))))
        for segment, own in zip(state.segments, rows, strict=True)
    ]
