"""Segments that are being made over several transactions, and belong to no state yet.

One value of the table `meta`: for each such segment its number and when it was begun. A merge that
was interrupted leaves its entry behind; who finds it old removes it with all it had stored. Should
its owner live on after all, it finds its entry gone and gives up.
"""

from __future__ import annotations

import struct
import time

from mvdb.errors import CorruptionError
from mvdb.index import layout
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TABLE = "meta"
KEY = b"unfinished"

_ENTRY = struct.Struct("<Qd")  # segment, seconds since 1970


def load(txn: ReadTransaction) -> dict[int, float]:
    """When each unfinished segment was begun."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return {}
    body = envelope.unseal(Kind.META, KEY, value, "unfinished segments")
    if len(body) % _ENTRY.size:
        raise CorruptionError(f"unfinished segments: {len(body)} bytes")
    return dict(_ENTRY.iter_unpack(body))


def _store(txn: WriteTransaction, entries: dict[int, float]) -> None:
    if not entries:
        txn.delete(TABLE, KEY)
        return
    body = b"".join(_ENTRY.pack(*entry) for entry in sorted(entries.items()))
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def add(txn: WriteTransaction, segment: int) -> None:
    """Begins a segment."""
    _store(txn, {**load(txn), segment: time.time()})


def take(txn: WriteTransaction, segment: int) -> bool:
    """Ends a segment, finished or not; False when it is not there any more."""
    entries = load(txn)
    if entries.pop(segment, None) is None:
        return False
    _store(txn, entries)
    return True


def remove_all(txn: WriteTransaction, age: float) -> None:
    """Removes what is older than `age` seconds, or from a future that a clock once showed."""
    entries = load(txn)
    now = time.time()
    old = [segment for segment, begun in entries.items() if not 0 <= now - begun <= age]
    for segment in old:
        txn.delete_prefix(layout.TABLE, layout.segment_prefix(segment))
        del entries[segment]
    if old:
        _store(txn, entries)
