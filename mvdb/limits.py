"""Limits and thresholds of an open database, in one value that is handed down to all rooms.

Applications get the defaults; tests pass their own to reach the behaviour of large files with
small ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Derivations and measurements of the defaults: docs/engine.md, docs/benchmarks.md."""

    # ---- first training ----
    train_documents: int = 1000
    """Live documents from which centroids are trained, if `train_tokens` are not reached first."""
    train_tokens: int = 100_000
    untrained_flush_tokens: int = 4_000_000
    """Tokens that a transaction collects before the first training."""

    # ---- more centroids ----
    growth: float = 3.0
    """Centroids are added when live tokens are so many times those of the last training."""
    extended_at_once: int = 1 << 19
    """Live tokens up to which a commit adds centroids itself, which takes about a second; of a
    larger collection only a commit that alone doubled it does, else maintenance."""

    # ---- segments ----
    flush_bytes: int | None = None
    """Bytes of vectors, texts and metadata at which the write buffer becomes a segment; None: a
    twelfth of the memory budget."""
    base_tokens: int = 4096
    """Tokens of a segment of level 0 of the merge policy."""
    fanout: int = 8
    """Neighbouring segments of a level that are merged, and the ratio of two levels' tokens."""
    commit_tokens: int = 1 << 18
    """Tokens that a commit merges at most; larger merges are maintenance's."""
    max_tokens: int = 1 << 27
    """Tokens of a segment; a core's document numbers are 32 bits wide."""
    listed_tokens: int = 1 << 20
    """Tokens from which a segment has posting lists; a smaller one is scanned."""
    chunk_bytes: int = (1 << 20) - 4096
    """Records of a chunk, at most (one document may exceed it): with its envelope and the page
    header a full chunk takes 256 pages of 4 KiB, so that freed extents fit new ones."""
    extent_bytes: int = (1 << 20) - 4096
    """Posting list blocks of an extent, at most, for the same reason."""
    cluster_documents: int = 32
    """Documents of a cluster, on average, by which a listed segment is ordered."""
    step_bytes: int = 8 << 20
    """Bytes that a step of a merge stores."""

    # ---- storage ----
    reserved_bytes: int = 16 << 30
    """Address space reserved for a small file. A process has 128 TiB of it: thousands of open
    databases."""
    map_slack: int = 16 << 20
    """Bytes of the map wanted beyond those in use: copied tree pages and the free list."""
    map_room: int = 64 << 20
    """Bytes of the map below which a write transaction waits a little for readers, to grow it."""
    roomy_bytes: int = 8 << 30
    """Bytes of the map that no transaction of sane size fills."""
    drain_seconds: float = 5.0
    """Time that the transactions of this process have to end when the map must move."""
    max_readers: int = 1024
    """Read transactions at a time, of all processes; the lock file has a slot for each."""
