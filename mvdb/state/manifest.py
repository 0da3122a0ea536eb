"""The manifest: the segments of a state, and its counters.

One value, rewritten by every commit: two transactions that see the same sequence number see the
same state. The codebook's number is called `generation` in the code.

    manifest   sequence u64 · next segment u64 · next document u64 · ids u64 · trained tokens u64 ·
               codebook u32 · trained residual f64 · segments u32 · that many segments
    segment    id u64 · codebook u32 · documents u32 · deleted documents u32 · tokens u64 ·
               deleted tokens u64 · residual sum f64 · first document u64 · last document u64
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter

from mvdb.errors import CorruptionError
from mvdb.segment.layout import SegmentInfo
from mvdb.state.settings import Settings
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.invariants import require

TABLE = "meta"
KEY = b"manifest"

# On disk: frozen.
_HEADER = Record("QQQQQIdI")
_SEGMENT = Record("QIIIQQdQQ")
_FIELDS = attrgetter(*(one.name for one in fields(SegmentInfo)))


@dataclass(frozen=True)
class Manifest:
    """A state of the database; its fields are in the order of those on disk.

    `sequence` grows with every commit; `next_segment` and `next_document` are never reused;
    `generation` is the number of the newest codebook (0: not trained). `trained_tokens`: live
    tokens at its training or extension. `trained_residual`: mean length of residuals at the
    training."""

    sequence: int = 0
    next_segment: int = 1
    next_document: int = 1
    n_ids: int = 0
    trained_tokens: int = 0
    generation: int = 0
    trained_residual: float = 0.0
    segments: tuple[SegmentInfo, ...] = field(default=())

    @property
    def live_documents(self) -> int:
        return sum(info.live_documents for info in self.segments)

    @property
    def live_tokens(self) -> int:
        return sum(info.live_tokens for info in self.segments)

    def with_segments(self, segments: list[SegmentInfo]) -> Manifest:
        """The same with other segments, in order of their document numbers."""
        return replace(self, segments=tuple(sorted(segments, key=lambda info: info.first)))


MAX_SEGMENTS = 1 << 13
"""Maximum number of segments of a state, a few KiB of memory each. Writers merge long before."""
MAX_COUNTER = 1 << 63
"""Upper bound of numbers that are never reused."""


def pack(manifest: Manifest) -> bytes:
    """The manifest's bytes."""
    *counters, segments = (getattr(manifest, one.name) for one in fields(manifest))
    return _HEADER.pack(*counters, len(segments)) + _SEGMENT.pack_all(map(_FIELDS, segments))


def unpack(body: memoryview) -> Manifest:
    """The manifest in `body`; CorruptionError when its numbers contradict each other."""
    (*counters, count), rest = _HEADER.unpack_head(body, "manifest")
    require(count <= MAX_SEGMENTS, "manifest", f"{count} segments")
    rows = _SEGMENT.unpack_all(rest, "manifest", count)
    manifest = replace(Manifest(*counters), segments=tuple(SegmentInfo(*row) for row in rows))
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """CorruptionError unless its numbers agree with each other."""
    counters = (manifest.sequence, manifest.next_segment, manifest.next_document)
    require(max(counters) < MAX_COUNTER, "manifest", "a counter is beyond its range")
    residual = manifest.trained_residual
    require(math.isfinite(residual) and residual >= 0, "manifest", "a residual is not finite")
    segments = manifest.segments
    are_distinct = len({info.id for info in segments}) == len(segments)
    require(are_distinct, "manifest", "a segment is there twice")
    previous_last = 0
    for info in segments:
        is_one = _is_consistent(info, manifest) and previous_last < info.first
        require(is_one, "manifest", f"segment {info.id} contradicts the other entries")
        previous_last = info.last
    live = manifest.live_documents
    require(manifest.n_ids == live, "manifest", f"{manifest.n_ids} ids for {live} documents")


def _is_consistent(info: SegmentInfo, manifest: Manifest) -> bool:
    return (
        info.first <= info.last < manifest.next_document
        and 0 < info.id < manifest.next_segment
        and info.generation <= manifest.generation
        and 0 <= info.n_deleted < info.n_documents <= info.last - info.first + 1
        and info.n_documents <= info.n_tokens
        and info.n_deleted <= info.deleted_tokens < info.n_tokens
        and (info.n_deleted == 0) == (info.deleted_tokens == 0)
        and info.live_documents <= info.live_tokens
        and math.isfinite(info.residual_sum)
        and info.residual_sum >= 0
    )


def check_generation(manifest: Manifest, stored: Settings) -> None:
    """CorruptionError for centroids in a database of 16 bits."""
    untrained = stored.bits != 16 or manifest.generation == 0
    require(untrained, "manifest", "centroids in a database of float16 vectors")


def load(txn: ReadTransaction) -> Manifest:
    """The manifest that a transaction sees."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("manifest: missing")
    return unpack(envelope.unseal(Kind.MANIFEST, txn.scope + KEY, value, "manifest"))


def store(txn: WriteTransaction, manifest: Manifest) -> None:
    """Writes the manifest, which `load` will accept."""
    check_manifest(manifest)
    txn.put(TABLE, KEY, envelope.seal(Kind.MANIFEST, KEY, pack(manifest)))
