"""Answers a query over a state.

1. A plan is chosen (plan.py). The exact plan skips steps 2 to 4.
2. Candidates come from the posting lists (candidates.py), if the plan takes lists and the segment
   has them; in all other quantised segments every allowed document is a candidate.
3. Candidates are ranked by their centroid codes; the best n_candidates remain. If a filter left
   fewer than k in the lists, steps 2 and 3 are repeated with the plan that scans all codes.
4. The remaining ones, and all allowed documents of float16 segments, are scored with the query in
   int8, best first. Scoring stops when the gap between both scores, learned from the first ones,
   says that the rest cannot be among the best k. The exact plan leaves this out for few tokens.
5. Of a large codec step 4 leaves out the tokens of documents that are far from the query. Those
   that may still be among the best k, by the gap of the first ones, are scored by all tokens.
6. Documents that may still be among the best k are scored with the query in int16, which equals
   float arithmetic to about 1e-5: the scores that users see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

import numpy as np

from mvdb import core
from mvdb.limits import Limits
from mvdb.search import plan as planning
from mvdb.search.candidates import CandidateGenerator
from mvdb.search.found import Found, Ranking, Rows, Scores, at_least, by_segment, kth_score
from mvdb.search.options import SearchOptions
from mvdb.search.prefetch import Prefetcher, Slots
from mvdb.search.profile_collector import Collector
from mvdb.search.relevance import relevance
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Explanation

FAST_ERROR = 0.004
"""Bound on the difference of a token's score between an int8 and an int16 query: a step of the
query's largest value / 254 in each dimension, random in sign; measured below 0.002."""
CHUNK_RECORDS = 128
"""Records verified and ranked together while later ones are still being read."""

CheckedSlots = NewType("CheckedSlots", np.ndarray[tuple[int, ...], np.dtype[np.void]])
"""Slots whose records are verified: the core reads no others."""
Coarse = tuple[Slots, core.Floats]
"""Slots, best first, and their coarse scores."""


@dataclass(frozen=True)
class Scored:
    """Documents with their scores, in no order. is_precise: of the query in int16, not in int8."""

    slots: CheckedSlots
    scores: core.Floats
    is_precise: bool


class Search:
    """One query over one state that has segments. `query` is loaded."""

    def __init__(
        self,
        state: State,
        txn: ReadTransaction,
        query: core.Query,
        prefetcher: Prefetcher,
        limits: Limits,
        collector: Collector,
        level: float | None,
    ) -> None:
        """level: of relevance, if it is known."""
        self._state = state
        self._txn = txn
        self._query = query
        self._limits = limits
        self._collector = collector
        self._level = level
        self._fetches = prefetcher.query()
        self._vectors = state.open_vectors(txn)
        self._views = self._vectors.views

    def best(self, allowed: Allowed, options: SearchOptions) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""
        found = self._found(*self.ranking(allowed, options), options.k)
        self.end()
        return at_least(found, options.min_score)

    def ranking(self, allowed: Allowed, options: SearchOptions) -> tuple[CheckedSlots, core.Floats]:
        """The best k allowed documents, in no order, and all whose score is that of the k-th."""
        scored = self.scored(allowed, options)
        slots, scores = scored.slots, scored.scores
        if not scored.is_precise:
            with self._collector.stage("refine"):
                n = self._query.refine(self._views, slots, scores, options.k, self.fast_error)
            return CheckedSlots(slots[:n]), scores[:n]
        best = scores >= kth_score(scores, options.k)
        return CheckedSlots(slots[best]), scores[best]

    def scored(self, allowed: Allowed, options: SearchOptions) -> Scored:
        """All documents whose stored vectors had to be scored to find the best k."""
        n_candidates = options.n_candidates(self._state, self._limits)
        nprobe = options.lists_per_token(self._state)
        plan = self._plan(allowed, options, nprobe, n_candidates)
        if plan == planning.EXACT:
            return self._all_scored(allowed, options)
        ranking = self._coarse(allowed, plan, nprobe, n_candidates)
        if plan == planning.LISTS and len(ranking[0]) < min(options.k, allowed.total):
            # A filter may allow hardly any documents of the probed lists.
            plan = planning.INTERACTION
            self._collector.fell_back(plan)
            ranking = self._coarse(allowed, plan, nprobe, n_candidates)
        return self._best_scored(allowed, *ranking, options.k)

    @property
    def fast_error(self) -> float:
        """Bound on the difference of fast scores and precise ones."""
        return FAST_ERROR * math.sqrt(self._query.m)

    def relevances(self, scores: Scores) -> Scores | None:
        """By MaxSim; None without a level."""
        return None if self._level is None else relevance(scores, self._query.m, self._level)

    def candidates(self, options: SearchOptions) -> int:
        """The number of candidates of a search with these options."""
        return options.n_candidates(self._state, self._limits)

    def scores(self, rows: Rows, *, precise: bool = True) -> core.Floats:
        """The scores of some documents."""
        slots = self._slots_of(rows)
        self._fetch(slots)
        return self._score(slots, core.SCORE_PRECISE if precise else core.SCORE_FAST)

    def rows(self, slots: Slots) -> Rows:
        """Documents by segment and row."""
        rows: Rows = slots.copy()
        for i, own in by_segment(slots):
            order = self._state.segments[i].order
            if order is not None:
                rows["document"][own] = order[slots["document"][own]]
        return rows

    def rerank(self, documents: Sequence[DocumentRow], k: int) -> list[Found]:
        """The best k of some documents, best first, ties by id."""
        slots = self._slots_of(np.array(documents, core.PLACE))
        self._fetch(slots)
        found = self._found(slots, self._score(slots, core.SCORE_PRECISE), k)
        self.end()
        return found

    def explain(self, document: DocumentRow) -> Explanation:
        """The scores of one document's tokens."""
        slots = self._slots_of(np.array([document], core.PLACE))
        self._fetch(slots)
        # The score comes from the core: a sum in another order would differ in rounding.
        score = self._score(slots, core.SCORE_PRECISE)[0]
        segment, slot = self._vectors.segments[document.segment], slots["document"].item()
        scores = self._query.explain(segment.view, slot, segment.directory.n_tokens(slot))
        self.end()
        return Explanation(scores, scores.argmax(axis=1), float(score))

    def end(self) -> None:
        """Ends the prefetching of the query. REQUIRED after `ranking` and `scores`."""
        self._fetches.end()
        self._collector.ended(self._fetches)

    def _plan(
        self, allowed: Allowed, options: SearchOptions, nprobe: int, n_candidates: int
    ) -> str:
        plan, costs = planning.EXACT, {}
        if not options.exact:
            parts = planning.parts_of(self._vectors.segments, allowed.counts)
            costs = planning.costs(parts, self._query.m, nprobe, n_candidates, self._limits)
            asked = options.candidates is not None
            plan = planning.choose(costs, parts, allowed.total, n_candidates, asked=asked)
        self._collector.planned(plan, costs)
        return plan

    # ---- coarse ranking ----

    def _coarse(self, allowed: Allowed, plan: str, nprobe: int, n_candidates: int) -> Coarse:
        """The best documents of quantised segments by their codes."""
        segments = self._vectors.segments
        self._query.near_groups(planning.near_groups(plan, nprobe))
        by_lists = [plan == planning.LISTS and segment.lists is not None for segment in segments]
        scanned = np.array([not one for one in by_lists], np.uint8)
        codecs = {
            id(segment.codec): segment.codec
            for segment, one in zip(segments, by_lists, strict=True)
            if one and segment.codec is not None
        }
        rankings = []
        for codec in codecs.values():
            chosen = [
                one and segment.codec is codec
                for segment, one in zip(segments, by_lists, strict=True)
            ]
            chosen_mask = np.array(chosen, np.uint8)
            rankings.append(self._from_lists(allowed, codec, chosen_mask, nprobe, n_candidates))
        if scanned.any() or not rankings:
            with self._collector.stage("coarse"):
                self._check_inline(allowed, scanned)
                rankings.append(
                    self._query.coarse(self._views, scanned, allowed.bitmaps, n_candidates)
                )
            self._collector.scanned(self._vectors, allowed, scanned)
        return _merged(rankings, n_candidates)

    def _from_lists(
        self,
        allowed: Allowed,
        codec: core.Codec,
        chosen: core.Bytes,
        nprobe: int,
        n_candidates: int,
    ) -> Coarse:
        """Candidates from posting lists, ranked by their codes."""
        generator = CandidateGenerator(self._vectors, self._query, allowed, self._fetches)
        with self._collector.stage("gather"):
            candidates = generator.run(codec, chosen, nprobe, n_candidates)
        slots = candidates.slots
        unread = self._fetch(slots)
        step = CHUNK_RECORDS if unread else max(1, len(slots))
        with self._collector.stage("interact"):
            rankings = []
            for first in range(0, len(slots), step):
                some = slots[first : first + step]
                chunk = self._checked(some) if unread else CheckedSlots(some)
                rankings.append((chunk, self._query.interact(self._views, chunk)))
        self._collector.generated(self._vectors, candidates)
        return _merged(rankings, n_candidates)

    def _check_inline(self, allowed: Allowed, chosen: core.Bytes) -> None:
        """Verifies the records of segments that are scanned and have their codes in them."""
        for i in np.flatnonzero(chosen).tolist():
            segment = self._vectors.segments[i]
            if segment.lists is not None and segment.codec is not None and not segment.is_checked:
                slots = allowed.slots(i)
                self._fetch(_slots(i, slots))
                segment.check(slots)

    # ---- scores ----

    def _all_scored(self, allowed: Allowed, options: SearchOptions) -> Scored:
        """All allowed documents."""
        segments = self._vectors.segments
        self._query.near_groups(0)
        slots = self._every(allowed)
        self._fetch(slots)
        precise = options.exact
        if not options.exact:
            parts = planning.parts_of(segments, allowed.counts)
            n_centroids = max((one.codec.n_centroids for one in segments if one.codec), default=0)
            precise = not planning.begins_fast(parts, n_centroids)
            if precise:
                self._collector.scored(len(slots))
        mode = core.SCORE_PRECISE if precise else core.SCORE_FAST
        return Scored(CheckedSlots(slots), self._score(slots, mode), precise)

    def _best_scored(self, allowed: Allowed, ranked: Slots, coarse: core.Floats, k: int) -> Scored:
        """A coarse ranking, scored until the rest cannot matter, and all float16 documents."""
        others = self._every(allowed, float16=True)
        other_scores = self._score(others)
        while True:
            with self._collector.stage("read"):
                ready = self._ready(ranked)
            with self._collector.stage("score"):
                scored, n = self._query.rank(
                    self._views,
                    ranked,
                    coarse,
                    other_scores,
                    k=k,
                    deviations=self._limits.stop_deviations,
                    ready=ready,
                )
            if scored <= ready:
                break
            self._checked(ranked[:scored])
        self._collector.scored(scored)
        slots = _joined([ranked[:n], others])
        return Scored(CheckedSlots(slots), np.concatenate([coarse[:n], other_scores]), False)

    def _found(self, slots: Slots, scores: core.Floats, k: int) -> list[Found]:
        relevances = self.relevances(scores)
        ranking = Ranking(self.rows(slots), scores, dense=scores, relevances=relevances)
        return ranking.best(self._state, self._txn, k)

    def _score(self, slots: Slots, mode: int = core.SCORE_FAST) -> core.Floats:
        """MaxSim of the stored vectors."""
        if len(slots) == 0:
            return np.empty(0, np.float32)
        checked = self._checked(slots)
        if mode != core.SCORE_PRECISE:
            self._collector.scored(len(slots))
        with self._collector.stage("refine" if mode == core.SCORE_PRECISE else "score"):
            return self._query.score(self._views, checked, mode)

    # ---- slots ----

    def _every(self, allowed: Allowed, *, float16: bool = False) -> Slots:
        """All allowed documents, or those of float16 segments."""
        return _joined(
            [
                _slots(i, allowed.slots(i))
                for i, segment in enumerate(self._vectors.segments)
                if not float16 or segment.codec is None
            ]
        )

    def _slots_of(self, rows: Rows) -> Slots:
        slots: Slots = rows.copy()
        for i, own in by_segment(rows):
            slots["document"][own] = self._state.segments[i].slots(rows["document"][own])
        return slots

    def _fetch(self, slots: Slots) -> bool:
        """Prefetches records that are needed now; whether some may not be in memory. The others are
        verified."""
        return self._fetches.records(self._vectors, slots)

    def _checked(self, slots: Slots) -> CheckedSlots:
        """Verifies the records that were not yet since opening."""
        with self._collector.stage("read"):
            for i, segment in enumerate(self._vectors.segments):
                if not segment.is_checked:
                    segment.check(slots["document"][slots["segment"] == i])
        return CheckedSlots(slots)

    def _ready(self, slots: Slots) -> int:
        """How many of them, from the first one on, are verified."""
        ready = len(slots)
        for i, segment in enumerate(self._vectors.segments):
            if not segment.is_checked:
                own = np.flatnonzero(slots["segment"] == i)
                unchecked = own[segment.unchecked(slots["document"][own])]
                if len(unchecked):
                    ready = min(ready, int(unchecked[0]))
        return ready


def _slots(segment: int, slots: core.Numbers) -> Slots:
    result = np.empty(len(slots), core.PLACE)
    result["segment"] = segment
    result["document"] = slots
    return result


def _joined(parts: Sequence[Slots]) -> Slots:
    """Documents of several arrays in one; numpy takes long to join structures."""
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    return np.concatenate(filled) if filled else np.empty(0, core.PLACE)


def _merged(rankings: Sequence[Coarse], limit: int) -> Coarse:
    """The best `limit` of several rankings, ties by segment and slot."""
    if len(rankings) == 1:
        return rankings[0]
    slots = _joined([slots for slots, _ in rankings])
    scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in rankings)])
    order = np.lexsort((slots["document"], slots["segment"], -scores))[:limit]
    return slots[order], scores[order]
