"""The first stage over inverted lists: which documents may be among the best.

For each query token the lists of its best centroids are read; a document gets the score of the best
centroid whose list has it, or, where it is in none of the token's lists, that of the last one
(WARP's imputation, arXiv 2501.17788). The best documents by this estimate go on to the interaction.
Half way through, by rank, the records of the provisional best are asked for (ESPN,
arXiv 2312.05417).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.prefetch import Fetches
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction

MIN_NPROBE = 48
CENTROIDS_PER_PROBE = 1280
"""Lists per query token by default are one for so many centroids, at least MIN_NPROBE: more
centroids mean shorter lists, and documents spread over more of them."""
EARLY_SHARE = 0.5
"""Share of the ranks after which the provisional best are asked for."""
EARLY_RECORDS = 1.0
"""How many of them, as a share of those that will be looked at."""


def default_nprobe(n_centroids: int) -> int:
    """Lists per query token where the caller does not say."""
    return max(MIN_NPROBE, n_centroids // CENTROIDS_PER_PROBE)


@dataclass
class Gathered:
    """Places (dtype PLACE), best first, with what it took to find them."""

    places: NDArray[np.void]
    lists: int = 0
    postings: int = 0
    early: NDArray[np.void] = field(default_factory=lambda: np.empty(0, core.PLACE))


class Gatherer:
    """One query's gathering over the segments that have lists."""

    def __init__(
        self,
        state: State,
        txn: ReadTransaction,
        query: core.Query,
        allowed: Allowed,
        fetches: Fetches,
    ) -> None:
        self._state = state
        self._query = query
        self._allowed = allowed
        self._fetches = fetches
        self._views = state.segment_list(txn)
        self._result = Gathered(np.empty(0, core.PLACE))

    def run(self, chosen: core.Bytes, nprobe: int, limit: int) -> Gathered:
        """The best `limit` documents of the chosen segments, which have lists and one codec."""
        codec = next(
            segment.codec
            for segment, one in zip(self._state.segments, chosen.tolist(), strict=True)
            if one and segment.codec is not None
        )
        nprobe = min(nprobe, codec.n_centroids)
        self._query.gather_start(self._views, chosen)
        last = self._query.n_blocks - 1
        for block in range(last + 1):
            probes, _ = self._query.probe(codec, block, nprobe)
            if block > 0:
                self._query.gather_block()
            self._read_lists(chosen, probes)
            if block < last:
                self._gather(chosen, probes)
                continue
            half = int(np.searchsorted(probes["rank"], max(1, round(nprobe * EARLY_SHARE))))
            self._gather(chosen, probes[:half])
            self._ask_early(chosen, limit)
            self._gather(chosen, probes[half:])
        places, _ = self._query.gather_best(self._views, chosen, limit)
        self._result.places = places
        return self._result

    def _read_lists(self, chosen: core.Bytes, probes: NDArray[np.void]) -> None:
        """Asks for the lists and verifies those that were not yet."""
        numbers = np.unique(probes["list"])
        todo = []
        for i in np.nonzero(chosen)[0].tolist():
            segment = self._state.segments[i]
            assert segment.lists is not None
            blocks = segment.lists.blocks(numbers)
            self._fetches.lists(segment, blocks)
            todo.append((segment.lists, blocks))
        for lists, blocks in todo:
            lists.check(blocks)
        self._result.lists += len(numbers)

    def _gather(self, chosen: core.Bytes, probes: NDArray[np.void]) -> None:
        bitmaps = self._allowed.bitmaps
        self._result.postings += self._query.gather(self._views, chosen, bitmaps, probes)

    def _ask_early(self, chosen: core.Bytes, limit: int) -> None:
        if not self._fetches.wants_early:
            return
        places, _ = self._query.gather_best(self._views, chosen, int(limit * EARLY_RECORDS))
        self._fetches.records(self._state.segments, self._views, places, early=True)
        self._result.early = places
