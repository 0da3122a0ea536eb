"""Asking for records and lists before they are needed (ESPN, arXiv 2312.05417).

A file that is larger than memory is read at the depth of one read at a time by page faults; asked
for ahead, hundreds of reads are in flight at once. Asking costs a system call for each range, so it
is left out for what has been read since opening, unless the system is found to evict pages: a query
that had to wait for reads makes the next ones ask again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.segment.segment import Segment
from mvdb.threads.workers import Workers

if sys.platform == "win32":

    def _waits() -> int:
        return 0

else:
    import resource

    _WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)

    def _waits() -> int:
        """Page faults of this thread that had to wait for a read."""
        return resource.getrusage(_WHO).ru_majflt


HINT = "hint"
READ = "read"
OFF = "off"
MODES = (HINT, READ, OFF)
"""By hints to the system (madvise, PrefetchVirtualMemory); by threads that touch the pages, where
the system ignores hints; not at all."""
READERS = 16
_READERS = Workers(READERS, "mvdb-read")
"""Touches pages for all databases of the process, each part in a task of its own."""
EARLY_UNREAD = 0.05
"""With a smaller share of unread records nothing is asked for before the lists are gathered."""
MEMORY_QUERIES = 64
"""For so many queries after one that had to wait everything is asked for."""


class Prefetcher:
    """How the queries of one database prefetch. Shared by threads."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._pressed = 0
        self._unread = 1.0  # share of the records needed by recent queries that were not in memory

    def query(self) -> Fetches:
        """The fetches of a query that begins."""
        return Fetches(self)

    @property
    def is_pressed(self) -> bool:
        """Whether the system is taken to evict pages of the file."""
        return self._pressed > 0

    @property
    def expects_reads(self) -> bool:
        """Whether queries have been reading records that were not in memory: asking early pays."""
        return self.is_pressed or self._unread > EARLY_UNREAD

    def note(self, waits: int, unread: float) -> None:
        """A query ended after so many waits; `unread`: share of its records that it asked for."""
        # Threads may lose each other's counts: they decide only what is asked for when.
        self._pressed = MEMORY_QUERIES if waits else max(0, self._pressed - 1)
        self._unread += (unread - self._unread) / 8

    def records(self, segments: core.SegmentList, places: NDArray[np.void]) -> tuple[int, int]:
        """Asks for the records of `places`; reads and bytes."""
        places = places[np.argsort(_keys(places))]
        if self.mode != READ:
            return segments.fetch(places, core.FETCH_HINT)
        parts = np.array_split(places, READERS)
        done = _READERS.map(lambda part: segments.fetch(part, core.FETCH_TOUCH), parts)
        return _total(done)

    def lists(self, segment: Segment, blocks: core.Numbers) -> tuple[int, int]:
        """Asks for blocks of lists; reads and bytes."""
        assert segment.lists is not None
        view = segment.lists.view
        if self.mode != READ:
            return view.fetch(blocks, core.FETCH_HINT)
        parts = np.array_split(blocks, READERS)
        return _total(_READERS.map(lambda part: view.fetch(part, core.FETCH_TOUCH), parts))


def _total(parts: object) -> tuple[int, int]:
    reads = bytes_read = 0
    for part_reads, part_bytes in parts:  # type: ignore[attr-defined]
        reads += part_reads
        bytes_read += part_bytes
    return reads, bytes_read


class Fetches:
    """What one query asked for and what it needed."""

    def __init__(self, prefetcher: Prefetcher) -> None:
        self._prefetcher = prefetcher
        self._waits = _waits() if prefetcher.mode != OFF else 0
        self._asked: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._looked_at = 0
        self.reads = 0
        self.bytes = 0
        self.early = 0
        """Records asked for while lists were still being gathered."""
        self.hits = 0
        """Records needed that had been asked for early."""
        self.needed = 0

    @property
    def is_pressed(self) -> bool:
        """Whether what was read before may have to be read again."""
        if self._prefetcher.mode == OFF:
            return False
        return self._prefetcher.is_pressed or _waits() > self._waits

    @property
    def wants_early(self) -> bool:
        """Whether records should be asked for before it is known which are needed."""
        if self._prefetcher.mode == OFF:
            return False
        return self.is_pressed or self._prefetcher.expects_reads

    def end(self) -> None:
        """The query is answered."""
        if self._prefetcher.mode != OFF:
            unread = self.needed / self._looked_at if self._looked_at else 0.0
            self._prefetcher.note(_waits() - self._waits, unread)

    def lists(self, segment: Segment, blocks: core.Numbers) -> None:
        """Asks for blocks of lists about to be gathered."""
        assert segment.lists is not None
        if self._prefetcher.mode == OFF:
            return
        wanted = blocks if self.is_pressed else segment.lists.unread(blocks)
        if len(wanted):
            self._add(self._prefetcher.lists(segment, wanted))

    def records(
        self,
        segments: Sequence[Segment],
        views: core.SegmentList,
        places: NDArray[np.void],
        *,
        early: bool,
    ) -> bool:
        """Asks for those records that may not be in memory and were not asked for by this query;
        whether there are any that may not be. early: they are the provisional best; else they are
        needed."""
        if len(places) == 0:
            return False
        if self._prefetcher.mode == OFF:
            return True
        wanted = places if self.is_pressed else _unread(segments, places)
        if not early:
            self._looked_at += len(places)
        keys = _keys(wanted)
        known = np.isin(keys, self._asked)
        if early:
            self.early += len(wanted)
        else:
            self.needed += len(wanted)
            self.hits += int(known.sum())
        if not known.all():
            self._asked = np.concatenate([self._asked, keys[~known]])
            self._add(self._prefetcher.records(views, wanted[~known]))
        return len(wanted) > 0

    def _add(self, fetched: tuple[int, int]) -> None:
        self.reads += fetched[0]
        self.bytes += fetched[1]


def _keys(places: NDArray[np.void]) -> NDArray[np.uint64]:
    segments = places["segment"].astype(np.uint64)
    keys: NDArray[np.uint64] = segments << np.uint64(32) | places["document"].astype(np.uint64)
    return keys


def _unread(segments: Sequence[Segment], places: NDArray[np.void]) -> NDArray[np.void]:
    """Places whose records were not verified, and so perhaps not read, since opening."""
    keep = np.zeros(len(places), bool)
    for i in np.unique(places["segment"]).tolist():
        mine = np.nonzero(places["segment"] == i)[0]
        keep[mine] = segments[i].is_unchecked(places["document"][mine])
    return places[keep]
