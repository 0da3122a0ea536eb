"""Answering a query over a state: coarse ranking by centroid codes, then MaxSim of stored vectors.

1. Documents of segments with inverted lists are found through the lists (candidates.py), or, where
   that costs less, all allowed ones are looked at (plan.py).
2. Documents found, and all of segments without lists, get a coarse score from their codes alone.
3. The best of them, and all allowed documents of float16 segments, are scored with the query in
   int8: at most `candidates`, fewer when the gap between coarse and real scores, learned from the
   first ones, says that the rest cannot matter.
4. Those that may still be among the best k are scored with the query in int16, which equals float
   arithmetic to about 1e-5: the scores that users see.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search import plan as planning
from mvdb.search.candidates import Gatherer, default_nprobe
from mvdb.search.prefetch import Prefetcher
from mvdb.segment.layout import FLOAT16
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Profile

MIN_CANDIDATES = 512
MIN_CANDIDATES_EXTENDED = 1024
"""Where centroids were added later: codes from before that rank documents less sharply."""
CANDIDATES_PER_HIT = 32
CANDIDATES_FACTOR = 0.12
CANDIDATES_POWER = 0.75
"""Candidates by default, at most, are the factor times this power of the documents, as more of them
crowd around the best ones (docs/engine.md shows the curves)."""
FIRST_CANDIDATES = 64
STOP_DEVIATIONS = 3.0
"""The first candidates are scored whatever happens; of the others those whose coarse score, raised
by the mean gap of the first ones and this many deviations, reaches the k-th best."""
FAST_ERROR = 0.004
"""Bound on the difference of a token's score between an int8 and an int16 query: a step of the
query's largest value / 254 in each dimension, random in sign; measured below 0.002."""
CHUNK_RECORDS = 128
"""Records verified and looked at together while later ones are still being read."""

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
    nprobe: int | None = None
    candidates: int | None = None
    exact: bool = False
    min_score: float | None = None

    def n_candidates(self, state: State) -> int:
        """Documents to look at closely."""
        if self.candidates is not None:
            return max(self.candidates, self.k)
        by_size = int(CANDIDATES_FACTOR * state.manifest.live_documents**CANDIDATES_POWER)
        extended = state.codebook is not None and len(state.codebook.extends) > 0
        least = MIN_CANDIDATES_EXTENDED if extended else MIN_CANDIDATES
        return max(least, CANDIDATES_PER_HIT * self.k, by_size)


class Search:
    """One query over one state. Places are segment indexes and slots."""

    def __init__(
        self,
        state: State,
        txn: ReadTransaction,
        query: core.Query,
        prefetcher: Prefetcher,
        profile: Profile | None,
    ) -> None:
        self._state = state
        self._txn = txn
        self._query = query
        self._profile = profile
        self._fetches = prefetcher.query()
        self._views = state.segment_list(txn)

    def _note(self, stage: str, begin: float) -> None:
        """Adds the time since `begin` to a stage of the profile."""
        if self._profile is not None:
            stages = self._profile.stages
            stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - begin

    def run(self, allowed: Allowed, options: Options) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""
        n_allowed = allowed.total
        wanted = options.n_candidates(self._state)
        plan = self._plan(allowed, options, n_allowed, wanted)
        if plan == planning.EXACT:
            places = self._all(allowed, only_float16=False)
            self._fetch(places)
            if not options.exact:
                places = self._contenders(places, self._score(places), options.k)
        else:
            nprobe = self._nprobe(options)
            ranked, coarse = self._coarse(allowed, plan, nprobe, wanted)
            if plan == planning.LISTS and len(ranked) < min(options.k, n_allowed):
                # A filter may leave hardly any of those that are like the query.
                ranked, coarse = self._coarse(allowed, planning.INTERACTION, nprobe, wanted)
            places = self._search(allowed, ranked, coarse, options.k)
        found = self._rank(places, options.k, options.min_score)
        self._fetches.end()
        self._note_fetches()
        return found

    def rank(self, places: Places, k: int) -> list[Found]:
        """Precise ranking of given places."""
        self._fetch(places)
        found = self._rank(places, k, None)
        self._fetches.end()
        return found

    def _nprobe(self, options: Options) -> int:
        codebook = self._state.codebook
        return options.nprobe or default_nprobe(codebook.codec.n_centroids if codebook else 0)

    def _plan(self, allowed: Allowed, options: Options, n_allowed: int, wanted: int) -> str:
        if options.exact:
            plan, estimates = planning.EXACT, {}
        else:
            parts = planning.parts_of(self._state.segments, allowed.counts)
            nprobe = self._nprobe(options)
            estimates = planning.costs(parts, self._query.m, nprobe, wanted)
            plan = planning.choose(estimates, n_allowed, wanted)
        if self._profile is not None:
            self._profile.plan = plan
            self._profile.costs = estimates
        return plan

    def _coarse(
        self, allowed: Allowed, plan: str, nprobe: int, wanted: int
    ) -> tuple[Places, core.Floats]:
        """The best `wanted` documents of quantised segments by their codes, and their scores."""
        segments = self._state.segments
        by_lists = [plan == planning.LISTS and segment.lists is not None for segment in segments]
        looked_at = np.array([not one for one in by_lists], np.uint8)
        begin = time.perf_counter()
        parts = []
        for codec in {
            id(s.codec): s.codec for s, one in zip(segments, by_lists, strict=True) if one
        }:
            chosen = [
                one and id(segment.codec) == codec
                for segment, one in zip(segments, by_lists, strict=True)
            ]
            parts.append(self._gather(allowed, np.array(chosen, np.uint8), nprobe, wanted))
            begin = time.perf_counter()
        if looked_at.any() or not parts:
            self._check_inline(allowed, looked_at)
            parts.append(self._query.coarse(self._views, looked_at, allowed.bitmaps, wanted))
            self._note("coarse", begin)
            self._note_codes(allowed, looked_at)
        return _merged(parts, wanted)

    def _gather(
        self, allowed: Allowed, chosen: core.Bytes, nprobe: int, wanted: int
    ) -> tuple[Places, core.Floats]:
        """Documents found through lists, ranked by their codes."""
        begin = time.perf_counter()
        gatherer = Gatherer(self._state, self._txn, self._query, allowed, self._fetches)
        gathered = gatherer.run(chosen, nprobe, wanted)
        places = gathered.places
        self._note("gather", begin)
        step = CHUNK_RECORDS if self._fetch(places) else max(1, len(places))
        begin = time.perf_counter()
        parts = []
        for first in range(0, len(places), step):
            chunk = places[first : first + step]
            self._check(chunk)
            parts.append((chunk, self._query.interact(self._views, chunk)))
        self._note("interact", begin)
        if self._profile is not None:
            self._profile.lists += gathered.lists
            self._profile.postings += gathered.postings
            self._note_vain(gathered.early, places)
        return _merged(parts, wanted)

    def _check_inline(self, allowed: Allowed, chosen: core.Bytes) -> None:
        """Before all documents of segments whose codes are in their records are looked at: they are
        read and verified."""
        for i in np.nonzero(chosen)[0].tolist():
            segment = self._state.segments[i]
            if segment.codec is None or segment.lists is None or segment.is_checked:
                continue
            mask = allowed.masks[i]
            slots = np.arange(len(segment)) if mask is None else np.nonzero(mask)[0]
            self._fetch(_places(i, slots))
            segment.check_records(self._txn, slots.astype(np.uint32))

    def _search(self, allowed: Allowed, ranked: Places, coarse: core.Floats, k: int) -> Places:
        """Scores the best of a coarse ranking until the rest cannot matter; those that may be among
        the best k."""
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
        mean, deviation = float(gaps.mean()), float(gaps.std())
        reach = mean + STOP_DEVIATIONS * deviation
        return int(np.searchsorted(-coarse, reach - kth, side="right"))

    def _note_codes(self, allowed: Allowed, chosen: core.Bytes) -> None:
        if self._profile is None:
            return
        for i in np.nonzero(chosen)[0].tolist():
            segment, mask = self._state.segments[i], allowed.masks[i]
            if segment.codec is not None:
                lengths = np.diff(segment.directory.starts)
                self._profile.postings += int(
                    lengths.sum() if mask is None else lengths[mask].sum()
                )

    def _note_vain(self, early: Places, needed: Places) -> None:
        """Bytes of records asked for early that were not needed."""
        assert self._profile is not None
        vain = np.setdiff1d(early, needed)
        self._profile.wasted_bytes += self._bytes(vain)

    def _note_fetches(self) -> None:
        if self._profile is None:
            return
        fetches = self._fetches
        self._profile.reads = fetches.reads
        self._profile.bytes_read = fetches.bytes
        self._profile.prefetched = fetches.early
        self._profile.prefetch_hit_rate = fetches.hits / fetches.needed if fetches.needed else 0.0

    def _bytes(self, places: Places) -> int:
        return sum(
            self._state.segments[segment].record_bytes(slot) for segment, slot in places.tolist()
        )

    def _all(self, allowed: Allowed, *, only_float16: bool) -> Places:
        if only_float16 and not self._state.has_float16:
            return np.empty(0, core.PLACE)
        parts = [np.empty(0, core.PLACE)]
        masks = allowed.masks
        for i, (info, mask) in enumerate(zip(self._state.manifest.segments, masks, strict=True)):
            if only_float16 and info.generation != FLOAT16:
                continue
            parts.append(
                _places(i, range(info.n_documents) if mask is None else np.nonzero(mask)[0])
            )
        return np.concatenate(parts)

    def _fetch(self, places: Places) -> bool:
        """Asks for records that are needed now; whether some may still have to be read."""
        return self._fetches.records(self._state.segments, self._views, places, early=False)

    def _check(self, places: Places) -> None:
        """Verifies the records that are about to be read and were not yet since opening."""
        begin = time.perf_counter()
        for i, segment in enumerate(self._state.segments):
            if not segment.is_checked:
                slots = places["document"][places["segment"] == i]
                segment.check_records(self._txn, slots)
        self._note("read", begin)

    def _score(self, places: Places) -> core.Floats:
        """Scores with the int8 query."""
        if len(places) == 0:
            return np.empty(0, np.float32)
        self._check(places)
        if self._profile is not None:
            self._profile.candidates += len(places)
        begin = time.perf_counter()
        scores = self._query.score(self._views, places, precise=False)
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
        scores = self._query.score(self._views, places, precise=True)
        self._note("refine", begin)
        best = scores >= _kth(scores, k)
        places, scores = places[best], scores[best]
        found = []
        for (s, slot), score in zip(places.tolist(), scores.tolist(), strict=True):
            row = self._state.segments[s].row(slot)
            found.append(Found(s, row, self._state.segments[s].key(self._txn, row), score))
        found.sort(key=lambda one: (-one.score, one.key))
        if min_score is not None:
            found = [one for one in found if one.score >= min_score]
        return found[:k]


def _places(segment: int, slots: Iterable[int] | NDArray[np.integer]) -> Places:
    slots = np.asarray(slots, np.uint32)
    places = np.empty(len(slots), core.PLACE)
    places["segment"] = segment
    places["document"] = slots
    return places


def _merged(parts: list[tuple[Places, core.Floats]], limit: int) -> tuple[Places, core.Floats]:
    """The best `limit` of several rankings, best first, ties by place."""
    if len(parts) == 1:
        return parts[0]
    places = np.concatenate([np.empty(0, core.PLACE), *(places for places, _ in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in parts)])
    order = np.lexsort((places["document"], places["segment"], -scores))[:limit]
    return places[order], scores[order]


def _kth(scores: core.Floats, k: int) -> float:
    """The k-th greatest score; the least one when there are fewer."""
    at = max(0, len(scores) - k)
    return float(np.partition(scores, at)[at]) if len(scores) else -math.inf
