"""A state of the database as a search needs it, and the cache that carries segments from one state
to the next."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.index import generations, layout, manifest
from mvdb.index.manifest import FLOAT16, Manifest, SegmentInfo
from mvdb.index.segments import Segment
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TOMBSTONES = "tombstones"

Live = NDArray[np.bool_]


def load_live(txn: ReadTransaction, info: SegmentInfo) -> Live | None:
    """Which documents of a segment are not deleted; None when all are there."""
    if info.n_deleted == 0:
        return None
    key = layout.segment_prefix(info.id)
    value = txn.get(TOMBSTONES, key)
    where = f"tombstones of segment {info.id}"
    if value is None:
        raise CorruptionError(f"{where}: missing")
    body = envelope.unseal(Kind.TOMBSTONES, key, value, where)
    if len(body) != (info.n_documents + 7) // 8:
        raise CorruptionError(f"{where}: {len(body)} bytes for {info.n_documents} documents")
    bits = np.frombuffer(body, np.uint8)
    deleted = np.unpackbits(bits, count=info.n_documents, bitorder="little").astype(bool)
    if int(deleted.sum()) != info.n_deleted:
        raise CorruptionError(f"{where}: {int(deleted.sum())} set, {info.n_deleted} expected")
    return ~deleted


def store_live(txn: WriteTransaction, segment: int, live: Live) -> None:
    """Writes which documents of a segment are left."""
    key = layout.segment_prefix(segment)
    body = np.packbits(~live, bitorder="little").tobytes()
    txn.put(TOMBSTONES, key, envelope.seal(Kind.TOMBSTONES, key, body))


class Allowed:
    """Which documents of a state a search may return.

    masks: per segment, by slot, or None for all. counts: documents allowed, per segment."""

    def __init__(self, segments: Sequence[Segment], rows: Sequence[Live | None]) -> None:
        """`rows`: per segment a mask by row, or None for all."""
        self.masks: list[Live | None] = []
        for segment, mask in zip(segments, rows, strict=True):
            in_order = mask is None or segment.order is None
            self.masks.append(mask if in_order else mask[segment.order])  # type: ignore[index]
        self.counts = [
            len(segment) if mask is None else int(np.count_nonzero(mask))
            for segment, mask in zip(segments, self.masks, strict=True)
        ]
        self.bitmaps = core.Bitmaps(self.masks)

    @property
    def total(self) -> int:
        """Documents allowed."""
        return sum(self.counts)


class State:
    """The segments of one manifest, opened. Immutable, shared by threads."""

    def __init__(
        self,
        manifest: Manifest,
        segments: list[Segment],
        live: list[Live | None],
        families: list[generations.Family],
    ) -> None:
        """families: those of the current generation and of all segments."""
        self.manifest = manifest
        self.families = families
        self.segments = segments
        self.live = live
        self.has_float16 = any(info.generation == FLOAT16 for info in manifest.segments)
        self._firsts = [info.first for info in manifest.segments]
        self._lock = threading.Lock()
        self._list: core.SegmentList | None = None
        self._everything: Allowed | None = None

    @property
    def everything(self) -> Allowed:
        """All live documents."""
        if self._everything is None:
            self._everything = Allowed(self.segments, self.live)
        return self._everything

    def segment_list(self, txn: ReadTransaction) -> core.SegmentList:
        """The segments as the core reads them."""
        if self._list is None:
            with self._lock:
                if self._list is None:
                    self._list = core.SegmentList([segment.view(txn) for segment in self.segments])
        return self._list

    @property
    def family(self) -> generations.Family | None:
        """The family of the current generation; None before training."""
        return self.families[0] if self.manifest.generation != FLOAT16 else None

    def locate(self, number: int) -> tuple[int, int] | None:
        """Segment index and row of a live document number; None when there is none."""
        at = bisect.bisect_right(self._firsts, number) - 1
        if at < 0:
            return None
        numbers = self.segments[at].directory.numbers
        row = int(np.searchsorted(numbers, np.uint64(number)))
        if row == len(numbers) or int(numbers[row]) != number:
            return None
        live = self.live[at]
        return (at, row) if live is None or live[row] else None


class StateCache:
    """Opened segments and codecs of one environment, and the newest state."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._lock = threading.Lock()
        self._epoch = -1
        self._state: State | None = None
        self._header = b""

    def clear(self) -> None:
        """Forgets everything: the mapped file is about to move or to go."""
        with self._lock:
            self._state = None
            self._header = b""

    def state(self, txn: ReadTransaction) -> State:
        """The state that a transaction sees."""
        value = txn.get(manifest.TABLE, manifest.KEY)
        # The envelope's header holds the manifest's checksum: an equal header is an equal state.
        header = bytes(value[:16]) if value is not None else b""
        state = self._state
        if state is not None and header == self._header and txn.epoch == self._epoch:
            return state
        with self._lock:
            reusable = self._state if txn.epoch == self._epoch else None
            state = open_state(txn, manifest.load(txn), self._dim, reusable)
            newest = reusable is None or state.manifest.sequence >= reusable.manifest.sequence
            if newest:  # an old snapshot must not displace what current readers share
                self._state, self._header, self._epoch = state, header, txn.epoch
            return state


def open_state(
    txn: ReadTransaction,
    current: Manifest,
    dim: int,
    previous: State | None,
    volatile_from: int | None = None,
) -> State:
    """The state of a manifest, taking from a previous one what both have. Segments numbered
    `volatile_from` and above were written by this very transaction: LMDB may move their pages."""
    known: dict[int, tuple[Segment, Live | None, int]] = {}
    families: list[generations.Family] = []
    if previous is not None:
        triples = zip(previous.manifest.segments, previous.segments, previous.live, strict=True)
        known = {info.id: (segment, live, info.n_deleted) for info, segment, live in triples}
        families = [family for family in previous.families if current.generation in family.sizes()]
    if current.generation != FLOAT16 and not families:
        families = [generations.load(txn, current.generation)]
    segments: list[Segment] = []
    lives: list[Live | None] = []
    for info in current.segments:
        family = _family(txn, families, info.generation)
        if info.id in known:
            segment, live, n_deleted = known[info.id]
            if family is not None and segment.codec is not family.codec:
                segment = segment.extended(family.codec)
        else:
            volatile = volatile_from is not None and info.id >= volatile_from
            segment = open_segment(txn, info, family, dim, volatile=volatile)
            live, n_deleted = None, -1
        segments.append(segment)
        # Deletions only ever grow, so the same number of them is the same set.
        lives.append(live if n_deleted == info.n_deleted else load_live(txn, info))
    return State(current, segments, lives, families)


def open_segment(
    txn: ReadTransaction,
    info: SegmentInfo,
    family: generations.Family | None,
    dim: int,
    *,
    volatile: bool = False,
) -> Segment:
    """A segment whose generation belongs to the family; None: it has float16 vectors."""
    if family is None:
        return Segment(txn, info, None, 0, dim, volatile=volatile)
    code_bytes = family.code_bytes(info.generation)
    return Segment(txn, info, family.codec, code_bytes, dim, volatile=volatile)


def _family(
    txn: ReadTransaction, families: list[generations.Family], generation: int
) -> generations.Family | None:
    """The family of a generation, loaded and added to the list when it is not there."""
    if generation == FLOAT16:
        return None
    for family in families:
        if generation in family.sizes():
            return family
    families.append(generations.load(txn, generation))
    return families[-1]
