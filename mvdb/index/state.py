"""A state of the database as a search needs it, and the cache that carries segments from one state
to the next."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core, shield
from mvdb.errors import CorruptionError
from mvdb.index import generations, invariants, layout, manifest
from mvdb.index.manifest import FLOAT16, Manifest, SegmentInfo
from mvdb.index.segments import Segment
from mvdb.settings import Settings
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TOMBSTONES = "tombstones"
_PIECE = 1 << 16

Live = NDArray[np.bool_]


def check_tombstones(txn: ReadTransaction, info: SegmentInfo) -> memoryview | None:
    """The bits of a segment's deleted documents, as many as the manifest says; None when it has
    none. Of their bytes nothing larger is made."""
    if info.n_deleted == 0:
        return None
    key = layout.segment_prefix(info.id)
    value = txn.get(TOMBSTONES, key)
    where = f"tombstones of segment {info.id}"
    if value is None:
        raise CorruptionError(f"{where}: missing")
    body = envelope.unseal(Kind.TOMBSTONES, key, value, where)
    n = info.n_documents
    invariants.require(len(body) == (n + 7) // 8, where, f"{len(body)} bytes for {n} documents")
    invariants.require(n % 8 == 0 or body[-1] >> n % 8 == 0, where, "bits of no documents")
    pieces = (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
    count = sum(int.from_bytes(piece, "little").bit_count() for piece in pieces)
    invariants.require(count == info.n_deleted, where, f"{count} set, {info.n_deleted} expected")
    return body


def load_live(txn: ReadTransaction, info: SegmentInfo) -> Live | None:
    """Which documents of a segment are not deleted; None when all are there."""
    body = check_tombstones(txn, info)
    if body is None:
        return None
    bits = np.frombuffer(body, np.uint8)
    live = np.unpackbits(bits, count=info.n_documents, bitorder="little").view(np.bool_)
    np.logical_not(live, out=live)
    return live


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
        """families: those of all segments; that of the current generation first."""
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
        return self._list or shield.run(lambda: self._listed(txn))

    def _listed(self, txn: ReadTransaction) -> core.SegmentList:
        with self._lock:
            if self._list is None:
                self._list = core.SegmentList([segment.view(txn) for segment in self.segments])
            return self._list

    @property
    def family(self) -> generations.Family | None:
        """The family of the current generation; None before training, and where no segment needs
        its centroids."""
        return self.families[0] if self.families else None

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


@dataclass(frozen=True)
class _Cached:
    """A state, the epoch of the map that its views are in, and what its manifest begins with: the
    header of an envelope holds the checksum, so an equal header is an equal state."""

    state: State
    epoch: int
    header: bytes


class StateCache:
    """Opened segments and codecs of one environment, and the newest state. Thread-safe."""

    def __init__(self, stored: Settings) -> None:
        self._stored = stored
        self._lock = threading.Lock()
        self._newest: _Cached | None = None  # one reference: readers take no lock

    def clear(self) -> None:
        """Forgets everything: the mapped file is about to move or to go."""
        self._newest = None

    def state(self, txn: ReadTransaction) -> State:
        """The state that a transaction sees."""
        value = txn.get(manifest.TABLE, manifest.KEY)
        header = bytes(value[:16]) if value is not None else b""
        newest = self._newest
        if newest is not None and header == newest.header and txn.epoch == newest.epoch:
            return newest.state
        return shield.run(lambda: self._open(txn, header))

    def _open(self, txn: ReadTransaction, header: bytes) -> State:
        with self._lock:
            newest = self._newest
            reusable = newest.state if newest is not None and newest.epoch == txn.epoch else None
            state = open_state(txn, manifest.load(txn), self._stored, reusable)
            # An old snapshot must not displace what current readers share.
            if reusable is None or state.manifest.sequence >= reusable.manifest.sequence:
                self._newest = _Cached(state, txn.epoch, header)
            return state


def open_state(
    txn: ReadTransaction,
    current: Manifest,
    stored: Settings,
    previous: State | None,
    volatile_from: int | None = None,
) -> State:
    """The state of a manifest, taking from a previous one what both have. Segments numbered
    `volatile_from` and above were written by this very transaction: LMDB may move their pages."""
    invariants.check_generation(current, stored)
    known: dict[int, tuple[Segment, Live | None, int]] = {}
    families = _Families(txn, stored, [] if previous is None else previous.families)
    if previous is not None:
        triples = zip(previous.manifest.segments, previous.segments, previous.live, strict=True)
        known = {info.id: (segment, live, info.n_deleted) for info, segment, live in triples}
    if any(info.generation != FLOAT16 for info in current.segments):
        families.of(current.generation)  # may extend the others
    segments: list[Segment] = []
    lives: list[Live | None] = []
    for info in current.segments:
        of_segment = families.of(info.generation)
        if info.id in known:
            segment, live, n_deleted = known[info.id]
            if of_segment is not None and segment.codec is not of_segment.codec:
                segment = segment.extended(of_segment.codec)
        else:
            volatile = volatile_from is not None and info.id >= volatile_from
            segment = open_segment(txn, info, of_segment, stored.dim, volatile=volatile)
            live, n_deleted = None, -1
        segments.append(segment)
        # Deletions only ever grow, so the same number of them is the same set.
        lives.append(live if n_deleted == info.n_deleted else load_live(txn, info))
    return State(current, segments, lives, families.found)


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
    n_centroids = family.sizes[info.generation]
    return Segment(txn, info, family.codec, n_centroids, dim, volatile=volatile)


class _Families:
    """Families as they are asked for, each loaded once, or taken from earlier ones."""

    def __init__(
        self, txn: ReadTransaction, stored: Settings, earlier: Sequence[generations.Family]
    ) -> None:
        self._txn = txn
        self._stored = stored
        self._earlier = {number: family for family in earlier for number in family.sizes}
        self._by_generation: dict[int, generations.Family] = {}
        self.found: list[generations.Family] = []

    def of(self, generation: int) -> generations.Family | None:
        """The family of a generation; None for float16. A generation stays with the family that
        had it first."""
        if generation == FLOAT16:
            return None
        family = self._by_generation.get(generation)
        if family is None:
            family = self._earlier.get(generation)
            if family is None:
                family = generations.load(self._txn, generation, self._stored)
            self.found.append(family)
            for number in family.sizes:
                self._by_generation.setdefault(number, family)
        return family
