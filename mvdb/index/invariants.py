"""What stored things must agree in: the checks made when a state is opened.

docs/format.md has the table of all such invariants, with those that other modules check when they
first read a part. Bytes are untrusted: whatever a file says is compared here before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.settings import Settings

if TYPE_CHECKING:
    from mvdb.index.layout import Directory
    from mvdb.index.manifest import Manifest, SegmentInfo

MAX_SEGMENTS = 1 << 13
"""Segments of a state. A few kilobytes of memory each, whatever they hold; a writer merges before
there are so many."""
MAX_COUNTER = 1 << 63
"""What numbers that are never used twice stay below."""


def require(holds: bool, where: str, fault: str) -> None:
    """CorruptionError, with what is wrong and where, unless it holds."""
    if not holds:
        raise CorruptionError(f"{where}: {fault}")


def ascends(numbers: NDArray[np.unsignedinteger]) -> bool:
    """Whether each number is greater than the one before."""
    return not bool((numbers[1:] <= numbers[:-1]).any())


def is_cut(starts: NDArray[np.unsignedinteger], total: int) -> bool:
    """Whether starts cut 0..total into parts that are not empty."""
    return int(starts[0]) == 0 and int(starts[-1]) == total and ascends(starts)


# ---- the manifest ----


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


def check_unfinished(segments: Collection[int], manifest: Manifest) -> None:
    """Segments being made, with those that are there."""
    are_apart = not any(info.id in segments for info in manifest.segments)
    require(are_apart, "unfinished segments", "one of them is in the manifest, so it is made")


# ---- settings and centroids ----


def check_generation(manifest: Manifest, stored: Settings) -> None:
    """Whether there may be centroids at all."""
    untrained = stored.bits != 16 or manifest.generation == 0
    require(untrained, "manifest", "centroids in a database of float16 vectors")


def check_codec(spec: core.CodecSpec, stored: Settings, where: str) -> None:
    """The tables of a generation, with what the database was made for."""
    found, expected = (spec.dim, spec.bits), (stored.dim, stored.bits)
    require(
        found == expected,
        where,
        "dim {} and bits {}".format(*found) + ", the settings say {} and {}".format(*expected),
    )


# ---- segments ----


def check_directory(directory: Directory, where: str) -> None:
    """The arrays of a directory among each other."""
    numbers, n = directory.numbers, len(directory.numbers)
    require(n > 0 and ascends(numbers), where, "document numbers are not ascending")
    starts, chunks, blocks = directory.starts, directory.chunks, directory.blocks
    require(is_cut(starts, int(starts[-1])), where, "first tokens are not ascending")
    require(len(chunks) > 1 and is_cut(chunks, n), where, "chunks are not in order")
    in_order = is_cut(blocks, n if len(blocks) > 1 else 0)
    require(in_order, where, "document blocks are not in order")


def check_segment(directory: Directory, info: SegmentInfo) -> None:
    """A segment's directory, with its entry in the manifest."""
    numbers = directory.numbers
    found = (len(numbers), int(directory.starts[-1]), int(numbers[0]), int(numbers[-1]))
    expected = (info.n_documents, info.n_tokens, info.first, info.last)
    require(found == expected, f"segment {info.id}", "directory and manifest disagree")
