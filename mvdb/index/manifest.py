"""The manifest: which segments a state consists of, and the counters that go with it.

It is one value, rewritten by every commit: two transactions that see the same sequence number see
the same state. Layout in docs/format.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from mvdb.errors import CorruptionError
from mvdb.index import invariants
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TABLE = "meta"
KEY = b"manifest"

# On disk: frozen.
_HEADER = struct.Struct("<QQQQQIdI")
_SEGMENT = struct.Struct("<QIIIQQdQQ")

FLOAT16 = 0
"""Generation number of segments that hold float16 vectors."""


@dataclass(frozen=True)
class SegmentInfo:
    """A segment as the manifest lists it. Segments are in order of document numbers, and their
    ranges first..last do not overlap."""

    id: int
    generation: int
    n_documents: int
    n_deleted: int
    n_tokens: int
    deleted_tokens: int
    residual_sum: float
    first: int
    last: int

    @property
    def live_tokens(self) -> int:
        return self.n_tokens - self.deleted_tokens

    @property
    def live_documents(self) -> int:
        return self.n_documents - self.n_deleted


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
    invariants.require(count <= invariants.MAX_SEGMENTS, "manifest", f"{count} segments")
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
    invariants.check_manifest(manifest)
    return manifest


def load(txn: ReadTransaction) -> Manifest:
    """The manifest that a transaction sees."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("manifest: missing")
    return unpack(envelope.unseal(Kind.MANIFEST, KEY, value, "manifest"))


def store(txn: WriteTransaction, manifest: Manifest) -> None:
    """Writes the manifest, which `load` will accept."""
    invariants.check_manifest(manifest)
    txn.put(TABLE, KEY, envelope.seal(Kind.MANIFEST, KEY, pack(manifest)))
