"""Unpublished segments: written over several transactions, named by no manifest yet.

One value of the table `meta`: for each such segment its number and its owner's last heartbeat (Unix
seconds), renewed at each step. An interrupted merge leaves its entry behind; the next writer that
finds it too old removes the entry and all values of the segment. An owner that is late, but alive,
finds its entry gone and gives up.
"""

from __future__ import annotations

import struct
import time

from mvdb.segment import layout
from mvdb.state import manifest
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind
from mvdb.storage.invariants import require

TABLE = "meta"
KEY = b"unfinished"

_ENTRY = struct.Struct("<Qd")  # segment, last heartbeat; on disk: frozen
_WHERE = "unfinished segments"


def load(txn: ReadTransaction) -> dict[int, float]:
    """The last heartbeat of each unpublished segment."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return {}
    body = envelope.unseal(Kind.META, KEY, value, _WHERE)
    require(len(body) % _ENTRY.size == 0, _WHERE, f"{len(body)} bytes")
    entries: dict[int, float] = dict(_ENTRY.iter_unpack(body))
    are_apart = not any(info.id in entries for info in manifest.load(txn).segments)
    require(are_apart, _WHERE, "one of them is in the manifest, so it is made")
    return entries


def _store(txn: WriteTransaction, entries: dict[int, float]) -> None:
    if not entries:
        txn.delete(TABLE, KEY)
        return
    body = b"".join(_ENTRY.pack(*entry) for entry in sorted(entries.items()))
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def add(txn: WriteTransaction, segment: int) -> None:
    """Lists a segment, or renews its heartbeat."""
    _store(txn, {**load(txn), segment: time.time()})


def renew(txn: WriteTransaction, segment: int) -> bool:
    """Renews the heartbeat of a segment; False when it is not listed any more."""
    if segment not in load(txn):
        return False
    add(txn, segment)
    return True


def finish(txn: WriteTransaction, segment: int) -> None:
    """Removes the entry of a segment that the manifest names from now on."""
    entries = load(txn)
    entries.pop(segment, None)
    _store(txn, entries)


def _old(entries: dict[int, float], age: float) -> list[int]:
    """Segments whose heartbeat is older than `age` seconds, or in the future of a wrong clock."""
    now = time.time()
    return [segment for segment, beat in entries.items() if not 0 <= now - beat <= age]


def is_at_work(txn: ReadTransaction, age: float) -> bool:
    """Whether an owner's heartbeat is at most `age` seconds old."""
    entries = load(txn)
    return len(_old(entries, age)) < len(entries)


def remove_all(txn: WriteTransaction, age: float) -> None:
    """Removes segments whose heartbeat is older than `age` seconds, with their values."""
    entries = load(txn)
    old = _old(entries, age)
    for segment in old:
        txn.delete_prefix(layout.TABLE, layout.segment_prefix(segment))
        del entries[segment]
    if old:
        _store(txn, entries)
