"""Answering a query over a state: coarse ranking by centroid codes, then MaxSim of stored vectors.

1. Every allowed document of the quantised segments gets a coarse score from its codes alone.
2. The best `candidates` of them, and all allowed documents of float16 segments, are scored with the
   query in int8.
3. Those that may still be among the best k are scored with the query in int16, which equals float
   arithmetic to about 1e-5: the scores that users see.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.index.manifest import FLOAT16
from mvdb.index.state import Live, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Profile

MIN_CANDIDATES = 128
CANDIDATES_PER_HIT = 8
CANDIDATES_PER_ROOT = 1.25
"""Candidates by default grow with the square root of the collection, as more documents crowd around
the best ones: 280 at 50,000 (docs/engine.md shows the curves)."""
FAST_ERROR = 0.004
"""Bound on the difference of a token's score between an int8 and an int16 query: a step of the
query's largest value / 254 in each dimension, random in sign; measured below 0.002."""

Places = NDArray[np.void]


@dataclass(frozen=True)
class Found:
    """A document that was found: segment index, row, key of its id, score."""

    segment: int
    row: int
    key: bytes
    score: float


@dataclass(frozen=True)
class Options:
    """How to search; see `Database.search`."""

    k: int
    candidates: int | None = None
    exact: bool = False
    min_score: float | None = None

    def n_candidates(self, n_documents: int) -> int:
        """Documents to score fully, of a collection of so many."""
        if self.candidates is not None:
            return max(self.candidates, self.k)
        by_size = int(CANDIDATES_PER_ROOT * math.sqrt(n_documents))
        return max(MIN_CANDIDATES, CANDIDATES_PER_HIT * self.k, by_size)


class Search:
    """One query over one state."""

    def __init__(
        self, state: State, txn: ReadTransaction, query: core.Query, profile: Profile | None
    ) -> None:
        self._state = state
        self._txn = txn
        self._query = query
        self._profile = profile

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        if self._profile is None:
            yield
            return
        begin = time.perf_counter()
        yield
        self._profile.stages[name] = time.perf_counter() - begin

    def run(self, allowed: Sequence[Live | None], options: Options) -> list[Found]:
        """The best k allowed documents, best first, ties by id. `allowed`: per segment, a mask of
        its documents or None for all; deleted ones are not in it."""
        with self._stage("coarse"):
            places = self._candidates(allowed, options)
        with self._stage("read"):
            self._check(places)
        if not options.exact:
            with self._stage("score"):
                places = self._contenders(places, options.k)
        with self._stage("refine"):
            return self._rank(places, options.k, options.min_score)

    def rank(self, places: Places, k: int) -> list[Found]:
        """Precise ranking of given places."""
        self._check(places)
        return self._rank(places, k, None)

    def _candidates(self, allowed: Sequence[Live | None], options: Options) -> Places:
        n_allowed = sum(
            len(segment) if mask is None else int(mask.sum())
            for segment, mask in zip(self._state.segments, allowed, strict=True)
        )
        wanted = options.n_candidates(self._state.manifest.live_documents)
        if options.exact or n_allowed <= wanted:
            return self._all(allowed, only_float16=False)
        bitmaps = [None if mask is None else np.packbits(mask, bitorder="little") for mask in allowed]
        segments = self._state.segment_list(self._txn)
        best, _ = self._query.coarse(segments, bitmaps, wanted)
        if self._profile is not None:
            self._profile.postings = self._count_codes(allowed)
        return np.concatenate([best, self._all(allowed, only_float16=True)])

    def _count_codes(self, allowed: Sequence[Live | None]) -> int:
        total = 0
        for segment, mask in zip(self._state.segments, allowed, strict=True):
            lengths = np.diff(segment.directory.starts)
            if segment.codec is not None:
                total += int(lengths.sum() if mask is None else lengths[mask].sum())
        return total

    def _all(self, allowed: Sequence[Live | None], *, only_float16: bool) -> Places:
        parts = [np.empty(0, core.PLACE)]
        for i, (info, mask) in enumerate(
            zip(self._state.manifest.segments, allowed, strict=True)
        ):
            if only_float16 and info.generation != FLOAT16:
                continue
            rows = np.arange(info.n_documents) if mask is None else np.nonzero(mask)[0]
            part = np.empty(len(rows), core.PLACE)
            part["segment"] = i
            part["document"] = rows
            parts.append(part)
        return np.concatenate(parts)

    def _check(self, places: Places) -> None:
        """Verifies the records that are about to be read."""
        for i in np.unique(places["segment"]).tolist():
            rows = places["document"][places["segment"] == i]
            self._state.segments[i].check_records(self._txn, rows)
        if self._profile is not None:
            self._profile.candidates = self._profile.reads = len(places)
            self._profile.bytes_read = sum(
                self._state.segments[s].n_tokens(r) * self._state.segments[s].token_bytes
                for s, r in places.tolist()
            )

    def _contenders(self, places: Places, k: int) -> Places:
        """The places whose precise score may be among the best k."""
        if len(places) <= k:
            return places
        segments = self._state.segment_list(self._txn)
        scores = self._query.score(segments, places, precise=False)
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        return places[scores >= kth - FAST_ERROR * math.sqrt(self._query.m)]

    def _rank(self, places: Places, k: int, min_score: float | None) -> list[Found]:
        if len(places) == 0:
            return []
        segments = self._state.segment_list(self._txn)
        scores = self._query.score(segments, places, precise=True)
        if len(places) > k:
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            places, scores = places[scores >= kth], scores[scores >= kth]
        found = [
            Found(s, r, self._state.segments[s].key(self._txn, r), score)
            for (s, r), score in zip(places.tolist(), scores.tolist(), strict=True)
        ]
        found.sort(key=lambda one: (-one.score, one.key))
        if min_score is not None:
            found = [one for one in found if one.score >= min_score]
        return found[:k]
