"""Segments that are being made over several transactions, and belong to no state yet.

One value of the table `meta`: for each such segment its number and when its owner was last heard
of, which is every step. A merge that was interrupted leaves its entry behind; who finds it old
removes it with all it had stored. Should its owner live on after all, it finds its entry gone and
gives up.

    value   for each segment, ascending: segment u64 · seconds since 1970 f64; none: no value
"""

from __future__ import annotations

import time
from collections.abc import Collection

from mvdb.segment import layout
from mvdb.state import manifest
from mvdb.state.manifest import Manifest
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.invariants import require

TABLE = "meta"
KEY = b"unfinished"

_ENTRY = Record("Qd")  # on disk: frozen


def _check_apart(segments: Collection[int], manifest: Manifest) -> None:
    """Segments being made, with those that are there."""
    are_apart = not any(info.id in segments for info in manifest.segments)
    require(are_apart, "unfinished segments", "one of them is in the manifest, so it is made")


def load(txn: ReadTransaction) -> dict[int, float]:
    """When the owner of each unfinished segment was last heard of."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return {}
    body = envelope.unseal(Kind.META, KEY, value, "unfinished segments")
    entries: dict[int, float] = dict(_ENTRY.unpack_all(body, "unfinished segments"))
    _check_apart(entries, manifest.load(txn))
    return entries


def _store(txn: WriteTransaction, entries: dict[int, float]) -> None:
    if not entries:
        txn.delete(TABLE, KEY)
        return
    body = _ENTRY.pack_all(sorted(entries.items()))
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def add(txn: WriteTransaction, segment: int) -> None:
    """Begins a segment."""
    _store(txn, {**load(txn), segment: time.time()})


def renew(txn: WriteTransaction, segment: int) -> bool:
    """Notes that a segment is still being made; False when it is not there any more."""
    if segment not in load(txn):
        return False
    add(txn, segment)
    return True


def finish(txn: WriteTransaction, segment: int) -> None:
    """A segment now belongs to the state."""
    entries = load(txn)
    entries.pop(segment, None)
    _store(txn, entries)


def _old(entries: dict[int, float], age: float) -> list[int]:
    """Not heard of for `age` seconds, or heard of in a future that a clock showed."""
    now = time.time()
    return [segment for segment, heard in entries.items() if not 0 <= now - heard <= age]


def is_at_work(txn: ReadTransaction, age: float) -> bool:
    """Whether an owner was heard of in the last `age` seconds."""
    entries = load(txn)
    return len(_old(entries, age)) < len(entries)


def remove_all(txn: WriteTransaction, age: float) -> None:
    """Removes what is older than `age` seconds."""
    entries = load(txn)
    old = _old(entries, age)
    for segment in old:
        txn.delete_prefix(layout.TABLE, layout.segment_prefix(segment))
        del entries[segment]
    if old:
        _store(txn, entries)
