"""Prefetch of records and posting lists (ESPN, arXiv 2312.05417).

1. A file larger than memory is read by page faults one at a time; prefetched, by hundreds at once.
2. A prefetch costs a system call per range. Ranges read since opening are not prefetched again.
3. Unless the system evicts pages: after a query with a major page fault, the next MEMORY_QUERIES
   prefetch everything.
4. While lists are gathered, the records of the provisional best candidates are prefetched, if
   recent queries found a share of at least EARLY_UNREAD of their records unread.

The core says when a search needs what (csrc/search/search.c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.found import by_segment
from mvdb.segment.posting_lists import Lists
from mvdb.state.state import StateVectors
from mvdb.threads.workers import Workers

HINT = "hint"
READ = "read"
OFF = "off"
MODES = (HINT, READ, OFF)
"""HINT: hints to the system (madvise, PrefetchVirtualMemory). READ: threads touch the pages, for
systems that ignore hints. OFF: no prefetch."""
READERS = 16
_READERS = Workers(READERS, "mvdb-read")
"""Touches pages for all databases of the process, each part in a task of its own."""
EARLY_UNREAD = 0.05
EARLY_SHARE = 0.5
"""Fraction of the lists of each query token gathered before the provisional best are prefetched."""
MEMORY_QUERIES = 64

Slots = NDArray[np.void]
"""Documents by segment index and slot, dtype `core.PLACE`."""
Fetched = tuple[int, int]
"""Reads and bytes."""


class Prefetcher:
    """How the queries of one database prefetch. Shared by threads."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._pressure = 0  # queries left that prefetch everything
        self._unread = 1.0  # share of the records needed by recent queries that were not in memory

    def query(self) -> Fetches:
        """The prefetches of a query that begins."""
        return Fetches(self)

    @property
    def under_pressure(self) -> bool:
        """Whether the system is taken to evict pages of the file."""
        return self._pressure > 0

    @property
    def expects_reads(self) -> bool:
        """Whether recent queries needed records that were not in memory."""
        return self.under_pressure or self._unread > EARLY_UNREAD

    def note(self, faults: int, unread: float) -> None:
        """A query has ended. faults: its major page faults; unread: share of its records that may
        not have been in memory."""
        # Threads may lose each other's counts; only the time of a prefetch depends on them.
        self._pressure = MEMORY_QUERIES if faults else max(0, self._pressure - 1)
        self._unread += (unread - self._unread) / 8

    def fetch(self, fetch: Callable[..., Fetched], wanted: NDArray[np.generic]) -> Fetched:
        """Prefetches ranges of the file, in order, by a function of the core."""
        if self.mode != READ:
            return fetch(wanted, core.FETCH_HINT)
        parts = np.array_split(wanted, READERS)
        done: Iterable[Fetched] = _READERS.map(lambda part: fetch(part, core.FETCH_TOUCH), parts)
        reads, sizes = zip(*done, strict=True)
        return sum(reads), sum(sizes)


class Fetches:
    """The prefetches of one query, and their counts."""

    def __init__(self, prefetcher: Prefetcher) -> None:
        self._prefetcher = prefetcher
        self._is_off = prefetcher.mode == OFF
        self._faults = 0 if self._is_off else core.major_faults()
        self._fetched: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.used = 0
        """Records that the query needed, in memory or not."""
        self.reads = 0
        self.bytes = 0
        self.prefetched = 0
        """Records prefetched before all lists were read."""
        self.hits = 0
        """Needed records, perhaps not in memory, that had been prefetched before."""
        self.needed = 0
        """Needed records, perhaps not in memory."""

    @property
    def under_pressure(self) -> bool:
        """Whether records read before may have been evicted."""
        return self._prefetcher.under_pressure or core.major_faults() > self._faults

    @property
    def most_faults(self) -> int:
        """Major page faults of this thread from which on records read before may have been
        evicted."""
        if self._is_off:
            return core.ANY_FAULTS
        return 0 if self._prefetcher.under_pressure else self._faults + 1

    def early_ranks(self, nprobe: int) -> int:
        """How many of the lists of a query token are gathered before the records of provisional
        candidates are prefetched; 0: these are not."""
        if self._is_off or not self._prefetcher.expects_reads:
            return 0
        return max(1, round(nprobe * EARLY_SHARE))

    def end(self) -> None:
        """The query is answered."""
        if not self._is_off:
            unread = self.needed / self.used if self.used else 0.0
            self._prefetcher.note(core.major_faults() - self._faults, unread)

    def lists(self, lists: Lists, blocks: core.Numbers) -> None:
        """Prefetches blocks of posting lists about to be gathered."""
        if self._is_off:
            return
        wanted = blocks if self.under_pressure else lists.unread(blocks)
        if len(wanted):
            self._prefetch(lists.view.fetch, wanted)

    def early(self, vectors: StateVectors, slots: Slots) -> None:
        """Prefetches records of the provisional best candidates."""
        if len(slots) and not self._is_off:
            wanted = self._unread(vectors, slots)
            self.prefetched += len(wanted)
            self._fetch(vectors, wanted)

    def records(self, vectors: StateVectors, slots: Slots) -> None:
        """Prefetches records needed now."""
        if len(slots) and not self._is_off:
            wanted = self._unread(vectors, slots)
            self.needed += len(wanted)
            self.hits += self._fetch(vectors, wanted)

    def _fetch(self, vectors: StateVectors, wanted: Slots) -> int:
        """Prefetches records, each once in a query; how many were prefetched before."""
        if len(wanted) == 0:
            return 0
        keys = _keys(wanted)
        known = np.isin(keys, self._fetched)
        if not known.all():
            self._fetched = np.concatenate([self._fetched, keys[~known]])
            new = wanted[~known]
            self._prefetch(vectors.views.fetch, new[np.argsort(keys[~known])])
        return int(known.sum())

    def _unread(self, vectors: StateVectors, slots: Slots) -> Slots:
        """Those whose records may not be in memory: not verified since opening, or evicted."""
        if self.under_pressure:
            return slots
        keep = np.zeros(len(slots), bool)
        for i, own in by_segment(slots):
            keep[own] = vectors.segments[i].unchecked(slots["document"][own])
        return slots[keep]

    def _prefetch(self, fetch: Callable[..., Fetched], wanted: NDArray[np.generic]) -> None:
        reads, size = self._prefetcher.fetch(fetch, wanted)
        self.reads += reads
        self.bytes += size


def _keys(slots: Slots) -> NDArray[np.uint64]:
    segments = slots["segment"].astype(np.uint64)
    keys: NDArray[np.uint64] = segments << np.uint64(32) | slots["document"].astype(np.uint64)
    return keys
