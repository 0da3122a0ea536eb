"""Candidate generation: the documents that posting lists rank best.

1. For each query token the lists of its best centroids are probed, `nprobe` of them.
2. A document gets the score of the best centroid whose list has it; where it is in none of the
   token's lists, the score of the last one (WARP's imputation, arXiv 2501.17788).
3. Half way through, by rank, the records of the provisional best are prefetched (ESPN,
   arXiv 2312.05417).
4. The best documents by the sum of these scores are the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.prefetch import Fetches, Slots
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import StateVectors

EARLY_SHARE = 0.5
"""Fraction of probe ranks gathered before the provisional best candidates are prefetched."""


@dataclass
class Candidates:
    """Candidates, the best in no order.

    probed: the lists of each block of the query, some of them more than once. postings: those read.
    prefetched: the provisional best whose records were prefetched."""

    slots: Slots = field(default_factory=lambda: np.empty(0, core.PLACE))
    probed: list[core.Numbers] = field(default_factory=list)
    postings: int = 0
    prefetched: Slots = field(default_factory=lambda: np.empty(0, core.PLACE))


class CandidateGenerator:
    """Generates the candidates of one query in segments that have lists and share a codec."""

    def __init__(
        self, vectors: StateVectors, query: core.Query, allowed: Allowed, fetches: Fetches
    ) -> None:
        self._vectors = vectors
        self._views = vectors.views
        self._query = query
        self._allowed = allowed
        self._fetches = fetches

    def run(
        self, codec: core.Codec, chosen: core.Bytes, nprobe: int, n_candidates: int
    ) -> Candidates:
        """Candidates of the chosen segments, 1 for each that takes part."""
        result = Candidates()
        nprobe = min(nprobe, codec.n_centroids)
        self._query.gather_start(self._views, chosen)
        last = self._query.n_blocks - 1
        for block in range(last + 1):
            probes, _ = self._query.probe(codec, block, nprobe)
            if block > 0:
                self._query.gather_block()
            result.probed.append(probes["list"])
            self._check_lists(chosen, probes)
            if block == last and self._fetches.wants_early:
                half = int(np.searchsorted(probes["rank"], max(1, round(nprobe * EARLY_SHARE))))
                result.postings += self._gather(chosen, probes[:half])
                result.prefetched = self._best(chosen, n_candidates)
                self._fetches.early(self._vectors, result.prefetched)
                probes = probes[half:]
            result.postings += self._gather(chosen, probes)
        result.slots = self._best(chosen, n_candidates)
        return result

    def _check_lists(self, chosen: core.Bytes, probes: NDArray[np.void]) -> None:
        """Prefetches and verifies the probed lists, where they may not be in memory."""
        blocks, are_kept = [], self._fetches.are_kept
        for segment, one in zip(self._vectors.segments, chosen.tolist(), strict=True):
            lists = segment.lists if one else None
            if lists is not None and not (are_kept and lists.are_read(probes)):
                blocks.append((lists, lists.blocks(probes["list"])))
                self._fetches.lists(*blocks[-1])
        for lists, wanted in blocks:
            lists.check(wanted)

    def _gather(self, chosen: core.Bytes, probes: NDArray[np.void]) -> int:
        """Adds the scores of probes to the documents in their lists; how many postings."""
        return self._query.gather(self._views, chosen, self._allowed.bitmaps, probes)

    def _best(self, chosen: core.Bytes, n_candidates: int) -> Slots:
        return self._query.gather_best(self._views, chosen, n_candidates)[0]
