"""Writes of a transaction: append, update, delete, flush, and preparation of the commit.

The functions change tables of an open transaction; the caller commits. Each call can be replayed
after the transaction has begun again (api/replay_log.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mvdb import core
from mvdb.documents import id_table, tenants
from mvdb.documents.sparse_vectors import SparseVector
from mvdb.documents.tenants import Tenant
from mvdb.errors import CorruptionError
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import Document
from mvdb.state.state import State
from mvdb.threads import shield
from mvdb.write import (
    extend_codebook,
    measure_level,
    merge_policy,
    metadata_updates,
    train_codebook,
)
from mvdb.write import flush as flushing
from mvdb.write.changes import Changes
from mvdb.write.merge import merge_at_once
from mvdb.write.write_buffer import WriteBuffer

UPDATE_BYTES = 128
"""Memory of an update that waits for the flush, beside its metadata: an entry of a dict, a number
and the head of a bytes object."""
UNTRAINED_TEXT_BYTES = 32
"""Texts and metadata before the first training: bytes for each of `untrained_flush_tokens`."""


def append(
    changes: Changes,
    keys: Sequence[bytes],
    lengths: core.Numbers,
    vectors: core.Halves,
    stored: Sequence[tuple[bytes | None, bytes | None]],
    weights: Sequence[SparseVector | None],
) -> None:
    """Adds documents with new ids: unit vectors (sum of lengths, dim), texts and metadata, learned
    weights.
    InvalidInputError for texts whose words this process cannot index."""
    if any(text is not None for text, _ in stored):
        changes.check_words()
    first = changes.manifest.next_document
    documents = []
    for i, key in enumerate(keys):
        id_table.put(changes.txn, key, first + i)
        documents.append(Document(first + i, key, int(lengths[i]), *stored[i], weights[i]))
    resources = changes.resources
    if changes.buffer is None:
        memory = _flush_bytes(changes) // 2
        changes.buffer = WriteBuffer(resources.folder, resources.settings.dim, memory)
    changes.buffer.append(documents, vectors)
    changes.manifest = replace(
        changes.manifest,
        next_document=first + len(keys),
        n_ids=changes.manifest.n_ids + len(keys),
    )
    changes.state = None
    if _is_full(changes, changes.buffer):
        shield.run(lambda: flush(changes))


def _is_full(changes: Changes, buffer: WriteBuffer) -> bool:
    if changes.is_untrained:
        most = changes.limits.untrained_flush_tokens
        return buffer.n_tokens > most or buffer.stored_bytes > UNTRAINED_TEXT_BYTES * most
    return buffer.n_bytes > _flush_bytes(changes)


def _flush_bytes(changes: Changes) -> int:
    most = changes.limits.flush_bytes
    return changes.resources.memory.write_buffer if most is None else most


def collects_for_training(changes: Changes) -> bool:
    """Whether the write buffer collects documents for the first training."""
    return changes.buffer is not None and changes.is_untrained


def update(changes: Changes, key: bytes, metadata: bytes | None) -> None:
    """Replaces the metadata of the document with this id. REQUIRES: the id is known."""
    number = id_table.get(changes.txn, key)
    assert number is not None
    if changes.buffer is None or not changes.buffer.update(number, metadata):
        changes.updated[number] = metadata
        changes.updated_bytes += UPDATE_BYTES + len(metadata or b"")
    changes.state = None
    if changes.updated_bytes > _flush_bytes(changes):
        shield.run(lambda: flush(changes))


def delete(changes: Changes, key: bytes) -> bool:
    """Deletes the document with this id; False for an unknown id."""
    number = id_table.get(changes.txn, key)
    if number is None:
        return False
    id_table.delete(changes.txn, key)
    changes.manifest = replace(changes.manifest, n_ids=changes.manifest.n_ids - 1)
    if changes.buffer is None or not changes.buffer.drop(number):
        place = changes.locate(number)
        if place is None:
            raise CorruptionError(f"document number {number} has an id but is in no segment")
        changes.deleted.setdefault(place[0], []).append(place[1])
        changes.updated.pop(number, None)
    changes.state = None
    return True


def add_tenant(changes: Changes, name: str) -> Tenant:
    """The tenant of a name; made if it is not there."""
    return tenants.add(changes.txn, name)


def delete_tenant(changes: Changes, name: str) -> int:
    """Deletes a tenant with all documents; how many there were."""
    tenant = tenants.find(changes.txn, name)
    # Before the first deletion: a table is not written to while it is read.
    keys = [key for key, _ in id_table.entries(changes.txn, prefix=tenant.prefix)]
    for key in keys:
        delete(changes, key)
    tenants.remove(changes.txn, name)
    return len(keys)


def state(changes: Changes) -> State:
    """The state with all changes so far, for reading inside the transaction."""
    return changes.state or shield.run(lambda: _flushed_state(changes))


def _flushed_state(changes: Changes) -> State:
    flush(changes)
    changes.state = changes.open_state()
    return changes.state


def flush(changes: Changes) -> None:
    """Writes write buffer, deletions and updates to the tables; trains or adds centroids if due."""
    flushing.write_tombstones(changes)
    if changes.buffer is not None:
        _flush_buffer(changes, changes.buffer)
    metadata_updates.move(changes)


def _flush_buffer(changes: Changes, buffer: WriteBuffer) -> None:
    if len(buffer) > 0:
        if train_codebook.is_due(changes):
            train_codebook.train(changes)
        else:
            extend_codebook.extend_for_newcomers(changes, buffer)
            infos = flushing.write_segments(changes, buffer.batches(), buffer.n_tokens)
            changes.replace_segments((), infos)
            extend_codebook.extend_at_once(changes)
    buffer.close()
    changes.buffer = None


def finish(changes: Changes) -> None:
    """Prepares the commit: flushes, makes small merges, measures the level of relevance if the
    centroids are new, writes the manifest."""
    flush(changes)
    while infos := _merge_due(changes):
        merge_at_once(changes, infos)
    measure_level.measure_at_once(changes)
    changes.store_manifest()


def _merge_due(changes: Changes) -> Sequence[SegmentInfo]:
    """The next small merge; a merge of any size if there are more than `crowded_segments`."""
    current, limits = changes.manifest, changes.limits
    is_crowded = len(current.segments) > limits.crowded_segments
    policy = partial(merge_policy.due, budget=None if is_crowded else limits.commit_tokens)
    return merge_policy.next_merge(changes.txn, current, limits, policy)
