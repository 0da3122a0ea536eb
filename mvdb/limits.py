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
    newcomers_per_centroid: float = 2.0
    """Tokens of a write buffer, per centroid, from which its flush adds centroids for them: the
    codebook, which is then written anew, takes about twice the bytes of the tokens at 2 bits."""
    newcomers_drift: float = 1.05
    """Ratio of their mean residual length to that of the first training from which it does so."""
    growth: float = 3.0
    """Ratio of live tokens to those of the last training from which centroids are added for stored
    documents."""
    extended_at_once: int = 1 << 19
    """Live tokens up to which the commit that makes these due adds them itself, in about a second;
    in a larger collection maintenance does."""

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
    """Bytes up to which a segment's temporary file is kept in memory; the journal of changes of a
    transaction up to half as many."""

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
    """Segments beyond which a commit makes merges of any size: half of the number that a manifest
    may list."""
    step_bytes: int = 8 << 20
    """Bytes of records that a step of a merge copies, about."""
    merge_attempts: int = 3
    """Attempts of `optimize` at the same merge while other processes merge the segments first."""

    # ---- maintenance ----
    opening_seconds: float = 5.0
    """Delay of maintenance after opening: short-lived processes do none."""
    grace_seconds: float = 2.0
    """Minimum time that a writer waits for a step of its own process, whatever its timeout. Few
    steps take longer, and maintenance should not make a caller's write fail."""
    attempt_seconds: float = 0.05
    """Time that a step waits for a writer of another process; then writers of its own process go
    first."""
    poll_seconds: float = 0.05
    """Interval at which a waiting thread checks its deadline and interruptions."""
    yield_seconds: float = 0.0002
    """Pause in which maintenance releases the GIL, every few documents."""
    work_seconds: float = 0.0005
    """Time between two such pauses, at least."""
    heartbeat_seconds: float = 600.0
    """Age of the last heartbeat from which an unpublished segment counts as abandoned."""
    retry_seconds: float = 60.0
    """Pause after the first failure in the background; doubles with each further one."""
    longest_retry_seconds: float = 3600.0
    exit_seconds: float = 60.0
    """Time that the interpreter's end waits for threads. A thread needs the time of one step; a
    thread that hangs in the system must not keep the process alive."""

    # ---- collections ----
    kept_collections: int = 256
    """Collections of a file whose open segments are kept, those used last."""

    # ---- storage ----
    reserved_bytes: int = 16 << 30
    """Address space reserved for a small file. A process has 128 TiB of it: thousands of open
    databases."""
    map_slack: int = 16 << 20
    """Bytes of the map wanted beyond those in use: copied tree pages and the free list."""
    map_room: int = 64 << 20
    """Free bytes of the map below which a write transaction waits a little for readers, to grow the
    map."""
    roomy_bytes: int = 8 << 30
    """Free bytes of the map at which a transaction keeps no journal: none of usual size fills
    them."""
    drain_seconds: float = 5.0
    """Time that the map's move waits for the transactions of this process to end."""
    max_readers: int = 1024
    """Concurrent read transactions of all processes; the lock file has a slot for each."""

    # ---- search ----
    min_candidates: int = 768
    candidates_per_hit: int = 48
    candidates_factor: float = 0.18
    """Default number of candidates: the maximum of `min_candidates`, `candidates_per_hit` * k, and
    `candidates_factor` * documents^(3/4). More documents have more near the best ones."""
    stop_deviations: float = 3.0
    """A further candidate is scored if its coarse score, plus the mean gap of the first ones and
    this many standard deviations, reaches the k-th best score."""
    list_surplus: float = 2.5
    """Minimum ratio of allowed documents in the probed lists to candidates. Below it the lists
    alone, not the centroid codes, would choose the candidates."""
    list_cost: float = 1.0
    """Factor of the estimated cost of the posting lists. 0: lists whenever they find enough
    documents; infinity: never."""
    ahead_bytes: int = 16 << 20
    """Maximum bytes of texts and metadata that a result keeps of hits read ahead."""
