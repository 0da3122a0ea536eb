"""The manifest: which segments a state consists of, and the counters that go with it.

It is one value, rewritten by every commit: two transactions that see the same sequence number see
the same state. Layout in docs/format.md.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace

from mvdb.errors import CorruptionError
from mvdb.segment.layout import SegmentInfo
from mvdb.state.settings import Settings
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind
from mvdb.storage.invariants import require

TABLE = "meta"
KEY = b"manifest"

# On disk: frozen.
_HEADER = struct.Struct("<QQQQQIdI")
_SEGMENT = struct.Struct("<QIIIQQdQQ")


@dataclass(frozen=True)
class Manifest:
    """A state of the database.

    `sequence` grows with every commit; `next_segment` and `next_document` are never reused;
    `generation` is that of the newest centroids (0: not trained), made when there were
    `trained_tokens` tokens, whose residuals then had the mean length `trained_residual`."""

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
"""Segments of a state. A few kilobytes of memory each; a writer merges before there are so many."""
MAX_COUNTER = 1 << 63
"""Upper bound of numbers that are never used twice."""


def pack(manifest: Manifest) -> bytes:
    """The manifest's bytes."""
    head = _HEADER.pack(
        manifest.sequence,
        manifest.next_segment,
        manifest.next_document,
        manifest.n_ids,
        manifest.trained_tokens,
        manifest.generation,
        manifest.trained_residual,
        len(manifest.segments),
    )
    rows = (
        _SEGMENT.pack(
            info.id,
            info.generation,
            info.n_documents,
            info.n_deleted,
            info.n_tokens,
            info.deleted_tokens,
            info.residual_sum,
            info.first,
            info.last,
        )
        for info in manifest.segments
    )
    return head + b"".join(rows)


def unpack(body: memoryview) -> Manifest:
    """The manifest in `body`; CorruptionError when its numbers contradict each other."""
    if len(body) < _HEADER.size:
        raise CorruptionError("manifest: too short")
    *counters, count = _HEADER.unpack_from(body)
    sequence, next_segment, next_document, n_ids, trained_tokens, generation, residual = counters
    if len(body) != _HEADER.size + count * _SEGMENT.size:
        raise CorruptionError(f"manifest: {len(body)} bytes do not hold {count} segments")
    require(count <= MAX_SEGMENTS, "manifest", f"{count} segments")
    segments = tuple(SegmentInfo(*row) for row in _SEGMENT.iter_unpack(body[_HEADER.size :]))
    manifest = Manifest(
        sequence,
        next_segment,
        next_document,
        n_ids,
        trained_tokens,
        generation,
        residual,
        segments,
    )
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Its numbers among each other."""
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
    """Whether there may be centroids at all."""
    untrained = stored.bits != 16 or manifest.generation == 0
    require(untrained, "manifest", "centroids in a database of float16 vectors")


def load(txn: ReadTransaction) -> Manifest:
    """The manifest that a transaction sees."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("manifest: missing")
    return unpack(envelope.unseal(Kind.MANIFEST, KEY, value, "manifest"))


def store(txn: WriteTransaction, manifest: Manifest) -> None:
    """Writes the manifest, which `load` will accept."""
    check_manifest(manifest)
    txn.put(TABLE, KEY, envelope.seal(Kind.MANIFEST, KEY, pack(manifest)))
