"""Tombstones: per segment a bit for each document, by row; set when the document is deleted.

Table `tombstones`, key: the segment's prefix. Value: ceil(n / 8) bytes, least significant bit
first. A segment without deleted documents has no entry.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.segment import layout
from mvdb.segment.layout import SegmentInfo
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind
from mvdb.storage.invariants import require

TABLE = "tombstones"
_PIECE = 1 << 16

Live = NDArray[np.bool_]


def check(txn: ReadTransaction, info: SegmentInfo) -> memoryview | None:
    """The bits of a segment's deleted documents, in number as the manifest says; None without
    deleted documents. Memory does not grow with them."""
    if info.n_deleted == 0:
        return None
    key = layout.segment_prefix(info.id)
    value = txn.get(TABLE, key)
    where = f"tombstones of segment {info.id}"
    if value is None:
        raise CorruptionError(f"{where}: missing")
    body = envelope.unseal(Kind.TOMBSTONES, txn.scope + key, value, where)
    n = info.n_documents
    require(len(body) == (n + 7) // 8, where, f"{len(body)} bytes for {n} documents")
    require(n % 8 == 0 or body[-1] >> n % 8 == 0, where, "bits of no documents")
    pieces = (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
    count = sum(int.from_bytes(piece, "little").bit_count() for piece in pieces)
    require(count == info.n_deleted, where, f"{count} set, {info.n_deleted} expected")
    return body


def load(txn: ReadTransaction, info: SegmentInfo) -> Live | None:
    """The live documents of a segment, a mask by row; None if no document is deleted."""
    body = check(txn, info)
    if body is None:
        return None
    return _live(body, info.n_documents)


def salvaged(bodies: Iterable[bytes | memoryview], info: SegmentInfo) -> Live | None:
    """The live documents from values of a damaged file that may be the segment's tombstones: from
    the first one of the right size and count. None: all documents count as live."""
    for body in bodies:
        if len(body) == (info.n_documents + 7) // 8:
            live = _live(body, info.n_documents)
            if int(np.count_nonzero(live)) == info.live_documents:
                return live
    return None


def _live(body: bytes | memoryview, n_documents: int) -> Live:
    bits = np.frombuffer(body, np.uint8)
    live = np.unpackbits(bits, count=n_documents, bitorder="little").view(np.bool_)
    np.logical_not(live, out=live)
    return live


def store(txn: WriteTransaction, segment: int, live: Live) -> None:
    """Writes the live documents of a segment, a mask by row."""
    key = layout.segment_prefix(segment)
    body = np.packbits(~live, bitorder="little").tobytes()
    txn.put(TABLE, key, envelope.seal(Kind.TOMBSTONES, key, body))
