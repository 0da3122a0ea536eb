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
    """Tokens that a transaction collects before the first training, to train on all of them."""

    # ---- more centroids ----
    growth: float = 3.0
    """Ratio of live tokens to those of the last training from which centroids are added."""
    extended_at_once: int = 1 << 19
    """Live tokens up to which the commit that makes more centroids due adds them itself, which
    takes about a second; of a larger collection only a commit that alone doubled it does, else
    maintenance."""

    # ---- segments ----
    flush_bytes: int | None = None
    """Bytes of vectors, texts and metadata at which the write buffer becomes a segment; None: a
    twelfth of the memory budget."""
    listed_tokens: int = 1 << 20
    """Tokens from which a segment has posting lists; a smaller one is scanned."""
    max_tokens: int = 1 << 27
    """Tokens of a segment: about 4.5 GB at 2 bits and 128 dimensions."""
    chunk_bytes: int = (1 << 20) - 4096
    """Records of a chunk (a larger document has a chunk of its own): with its envelope and the page
    header a full chunk takes 256 pages of 4 KiB, so that freed extents fit new ones."""
    extent_bytes: int = (1 << 20) - 4096
    """Posting list blocks of an extent (a larger block has an extent of its own), for the same
    reason."""
    cluster_documents: int = 32
    """Documents of a cluster, on average, by which a segment with posting lists is ordered."""

    spool_bytes: int = 32 << 20
    """Bytes of a temporary file of a segment that are kept in memory instead; of the changes that a
    transaction may have to make again, half as many."""

    # ---- Arrow data ----
    arrow_batch_bytes: int = 64 << 20
    """Bytes in memory of a batch that is read from a Parquet file or dataset, about."""
    arrow_read_bytes: int = 1 << 20
    """Bytes of a Parquet column that are read at a time."""

    # ---- merges ----
    base_tokens: int = 4096
    """Tokens from which a segment is above level 0 of the merge policy."""
    fanout: int = 8
    """Neighbouring segments of a level that are merged, and the ratio of two levels' tokens."""
    commit_tokens: int = 1 << 18
    """Tokens that a commit merges; larger merges are maintenance's."""
    crowded_segments: int = 1 << 12
    """Segments beyond which a commit merges whatever is due: half of what a manifest may list."""
    step_bytes: int = 8 << 20
    """Bytes of records that a step of a merge copies, about."""
    merge_attempts: int = 3
    """Times that `optimize` begins the same merge while other processes make it give up."""

    # ---- maintenance ----
    opening_seconds: float = 5.0
    """Delay of maintenance after opening, for the sake of processes that live for a moment."""
    grace_seconds: float = 2.0
    """Least time that a writer waits for a step of its own process, whatever its timeout: hardly
    any step takes longer, and no caller means to be refused for the sake of the index."""
    attempt_seconds: float = 0.05
    """Time that a step waits for another writer before writers of its process may go first."""
    poll_seconds: float = 0.05
    """Interval at which a waiting thread checks its deadline and interruptions."""
    yield_seconds: float = 0.0002
    """Pause in which maintenance releases the GIL, every few documents."""
    heartbeat_seconds: float = 600.0
    """Age of the last heartbeat from which an unpublished segment counts as abandoned."""
    retry_seconds: float = 60.0
    """Pause after the first failure in the background; doubles with each further one."""
    longest_retry_seconds: float = 3600.0
    exit_seconds: float = 60.0
    """Time that the interpreter's end waits for threads. They need the time of a step; a thread
    that hangs in the system must not keep the process."""

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
