"""Unpublished segments: made over several transactions, and not in a manifest yet.

One value of the table `meta` (key `unfinished`, frozen): for each such segment its number and the
last heartbeat of its owner, renewed at each step. An interrupted merge leaves its entry behind. A
later merge removes an entry with an old heartbeat, with all stored parts. An owner that is alive
after all finds its entry gone and gives up.

    value   for each segment, ascending: segment u64 · last heartbeat, Unix seconds f64
            without unpublished segments: no value
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
    """CorruptionError if the manifest lists an unpublished segment."""
    are_apart = not any(info.id in segments for info in manifest.segments)
    require(are_apart, "unfinished segments", "one of them is in the manifest, so it is made")


def load(txn: ReadTransaction) -> dict[int, float]:
    """The last heartbeat of each unpublished segment."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return {}
    body = envelope.unseal(Kind.META, txn.scope + KEY, value, "unfinished segments")
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
    """Adds an entry, with a heartbeat now."""
    _store(txn, {**load(txn), segment: time.time()})


def renew(txn: WriteTransaction, segment: int) -> bool:
    """Renews the heartbeat of a segment; False if its entry is gone."""
    if segment not in load(txn):
        return False
    add(txn, segment)
    return True


def finish(txn: WriteTransaction, segment: int) -> None:
    """Removes the entry of a segment that the manifest lists from now on."""
    entries = load(txn)
    entries.pop(segment, None)
    _store(txn, entries)


def remove(txn: WriteTransaction, segment: int) -> None:
    """Removes the entry and the parts of a segment."""
    txn.delete_prefix(layout.TABLE, layout.segment_prefix(segment))
    finish(txn, segment)


def _old(entries: dict[int, float], age: float) -> list[int]:
    """Segments whose heartbeat is older than `age` seconds, or in the future: a wrong clock."""
    now = time.time()
    return [segment for segment, heard in entries.items() if not 0 <= now - heard <= age]


def is_at_work(txn: ReadTransaction, age: float) -> bool:
    """Whether a heartbeat is at most `age` seconds old."""
    entries = load(txn)
    return len(_old(entries, age)) < len(entries)


def remove_all(txn: WriteTransaction, age: float) -> None:
    """Removes the entries and parts of segments whose heartbeat is older than `age` seconds."""
    for segment in _old(load(txn), age):
        remove(txn, segment)
