"""Answering a query over a state: coarse ranking by centroid codes, then MaxSim of stored vectors.

1. Every allowed document of the quantised segments gets a coarse score from its codes alone.
2. The best of them, and all allowed documents of float16 segments, are scored with the query in
   int8: at most `candidates`, fewer when the gap between coarse and real scores, learned from the
   first ones, says that the rest cannot matter.
3. Those that may still be among the best k are scored with the query in int16, which equals float
   arithmetic to about 1e-5: the scores that users see.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.index.manifest import FLOAT16
from mvdb.index.state import Live, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Profile

MIN_CANDIDATES = 512
CANDIDATES_PER_HIT = 32
CANDIDATES_PER_ROOT = 5
"""Candidates by default, at most, grow with the square root of the collection, as more documents
crowd around the best ones: 1,100 at 50,000 (docs/engine.md shows the curves)."""
FIRST_CANDIDATES = 64
STOP_DEVIATIONS = 2.5
"""The first candidates are scored whatever happens; of the others those whose coarse score, raised
by the mean gap of the first ones and this many deviations, reaches the k-th best."""
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

    def _note(self, stage: str, begin: float) -> None:
        """Adds the time since `begin` to a stage of the profile."""
        if self._profile is not None:
            stages = self._profile.stages
            stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - begin

    def run(self, allowed: Sequence[Live | None], options: Options) -> list[Found]:
        """The best k allowed documents, best first, ties by id. `allowed`: per segment, a mask of
        its documents or None for all; deleted ones are not in it."""
        n_allowed = sum(
            len(segment) if mask is None else int(mask.sum())
            for segment, mask in zip(self._state.segments, allowed, strict=True)
        )
        wanted = options.n_candidates(self._state.manifest.live_documents)
        if options.exact or n_allowed <= wanted:
            places = self._all(allowed, only_float16=False)
            if not options.exact:
                places = self._contenders(places, self._score(places), options.k)
        else:
            places = self._search(allowed, wanted, options.k)
        return self._rank(places, options.k, options.min_score)

    def rank(self, places: Places, k: int) -> list[Found]:
        """Precise ranking of given places."""
        return self._rank(places, k, None)

    def _search(self, allowed: Sequence[Live | None], wanted: int, k: int) -> Places:
        """Ranks by codes, then scores the best until the rest cannot matter; those that may be
        among the best k."""
        begin = time.perf_counter()
        segments = self._state.segment_list(self._txn)
        bitmaps = [
            None if mask is None else np.packbits(mask, bitorder="little") for mask in allowed
        ]
        ranked, coarse = self._query.coarse(segments, bitmaps, wanted)
        self._note("coarse", begin)
        if self._profile is not None:
            self._profile.postings = self._count_codes(allowed)
        others = self._all(allowed, only_float16=True)
        other_scores = self._score(others)
        first = max(FIRST_CANDIDATES, 2 * k)
        scores = self._score(ranked[:first])
        kth = _kth(np.concatenate([scores, other_scores]) if len(others) else scores, k)
        stop = self._stop(coarse, scores, kth)
        if stop > first:
            scores = np.concatenate([scores, self._score(ranked[first:stop])])
        places = ranked[: len(scores)]
        if len(others):
            places = np.concatenate([places, others])
            scores = np.concatenate([scores, other_scores])
        return self._contenders(places, scores, k)

    @staticmethod
    def _stop(coarse: core.Floats, scores: core.Floats, kth: float) -> int:
        """Up to which rank of the coarse order documents can still reach the k-th score, judging by
        how far the scores of the first ones lie above their coarse scores."""
        if len(scores) == len(coarse):
            return len(coarse)
        gaps = scores - coarse[: len(scores)]
        mean = float(gaps.sum()) / len(gaps)
        deviation = math.sqrt(max(0.0, float(gaps @ gaps) / len(gaps) - mean * mean))
        reach = mean + STOP_DEVIATIONS * deviation
        return int(np.searchsorted(-coarse, reach - kth, side="right"))

    def _count_codes(self, allowed: Sequence[Live | None]) -> int:
        total = 0
        for segment, mask in zip(self._state.segments, allowed, strict=True):
            lengths = np.diff(segment.directory.starts)
            if segment.codec is not None:
                total += int(lengths.sum() if mask is None else lengths[mask].sum())
        return total

    def _all(self, allowed: Sequence[Live | None], *, only_float16: bool) -> Places:
        if only_float16 and not self._state.has_float16:
            return np.empty(0, core.PLACE)
        parts = [np.empty(0, core.PLACE)]
        for i, (info, mask) in enumerate(zip(self._state.manifest.segments, allowed, strict=True)):
            if only_float16 and info.generation != FLOAT16:
                continue
            rows = np.arange(info.n_documents) if mask is None else np.nonzero(mask)[0]
            part = np.empty(len(rows), core.PLACE)
            part["segment"] = i
            part["document"] = rows
            parts.append(part)
        return np.concatenate(parts)

    def _check(self, places: Places) -> None:
        """Verifies the records that are about to be read and were not yet since opening."""
        begin = time.perf_counter()
        for i, segment in enumerate(self._state.segments):
            if not segment.is_checked:
                rows = places["document"][places["segment"] == i]
                segment.check_records(self._txn, rows)
        self._note("read", begin)

    def _score(self, places: Places) -> core.Floats:
        """Scores with the int8 query."""
        if len(places) == 0:
            return np.empty(0, np.float32)
        self._check(places)
        if self._profile is not None:
            self._profile.candidates += len(places)
            self._profile.reads += len(places)
            self._profile.bytes_read += sum(
                self._state.segments[s].n_tokens(r) * self._state.segments[s].token_bytes
                for s, r in places.tolist()
            )
        begin = time.perf_counter()
        segments = self._state.segment_list(self._txn)
        scores = self._query.score(segments, places, precise=False)
        self._note("score", begin)
        return scores

    def _contenders(self, places: Places, scores: core.Floats, k: int) -> Places:
        """The places whose precise score may be among the best k."""
        bound = _kth(scores, k) - FAST_ERROR * math.sqrt(self._query.m)
        return places[scores >= bound]

    def _rank(self, places: Places, k: int, min_score: float | None) -> list[Found]:
        if len(places) == 0:
            return []
        self._check(places)
        begin = time.perf_counter()
        segments = self._state.segment_list(self._txn)
        scores = self._query.score(segments, places, precise=True)
        self._note("refine", begin)
        best = scores >= _kth(scores, k)
        places, scores = places[best], scores[best]
        found = [
            Found(s, r, self._state.segments[s].key(self._txn, r), score)
            for (s, r), score in zip(places.tolist(), scores.tolist(), strict=True)
        ]
        found.sort(key=lambda one: (-one.score, one.key))
        if min_score is not None:
            found = [one for one in found if one.score >= min_score]
        return found[:k]


def _kth(scores: core.Floats, k: int) -> float:
    """The k-th greatest score; the least one when there are fewer."""
    at = max(0, len(scores) - k)
    return float(np.partition(scores, at)[at]) if len(scores) else -math.inf
