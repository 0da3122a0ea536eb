"""Answers a query over a state.

1. A plan is chosen (plan.py). The exact plan skips steps 2 to 4.
2. Candidates come from the posting lists, if the plan takes lists and the segment has them; in all
   other quantised segments every allowed document is a candidate.
3. Candidates are ranked by their centroid codes; the best n_candidates remain. If a filter left
   fewer than k in the lists, all steps are repeated with the plan that scans all codes.
4. The remaining ones, and all allowed documents of float16 segments, are scored with the query in
   int8, best first. Scoring stops when the gap between both scores, learned from the first ones,
   says that the rest cannot be among the best k. The exact plan leaves this out for few tokens.
5. Of a large codec step 4 leaves out the tokens of documents that are far from the query. Those
   that may still be among the best k, by the gap of the first ones, are scored by all tokens.
6. Documents that may still be among the best k are scored with the query in int16, which equals
   float arithmetic to about 1e-5: the scores that users see.

Steps 2 to 6 are one call of the core (csrc/search/search.c) as long as all they read is verified.
It returns to have lists or records prefetched and verified here, and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NewType

import numpy as np

from mvdb import core
from mvdb.limits import Limits
from mvdb.search import plan as planning
from mvdb.search.found import Found, Rows, at_least, by_segment, in_order, kth_score
from mvdb.search.options import SearchOptions
from mvdb.search.prefetch import Prefetcher, Slots
from mvdb.search.profile_collector import Collector
from mvdb.search.relevance import relevance
from mvdb.segment.layout import Slot
from mvdb.segment.stored_vectors import StoredVectors
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Explanation

FAST_ERROR = 0.004
"""Bound on the difference of a token's score between an int8 and an int16 query: a step of the
query's largest value / 254 in each dimension, random in sign; measured below 0.002."""
CheckedSlots = NewType("CheckedSlots", np.ndarray[tuple[int, ...], np.dtype[np.void]])
"""Slots whose records are verified: the core reads no others."""


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
        progress, _ = self._searched(allowed, options, refines=True)
        found = self._found(*progress.found())[: options.k]
        self.end()
        return at_least(found, options.min_score)

    def scored(self, allowed: Allowed, options: SearchOptions) -> Scored:
        """All documents whose stored vectors had to be scored to find the best k."""
        progress, is_precise = self._searched(allowed, options, refines=False)
        return Scored(CheckedSlots(progress.places), progress.scores, is_precise)

    @property
    def fast_error(self) -> float:
        """Bound on the difference of fast scores and precise ones."""
        return FAST_ERROR * math.sqrt(self._query.m)

    def relevances(self, scores: Iterable[float]) -> list[float] | None:
        """By MaxSim; None without a level."""
        return None if self._level is None else relevance(scores, self._query.m, self._level)

    def candidates(self, options: SearchOptions) -> int:
        """The number of candidates of a search with these options."""
        return options.n_candidates(self._state, self._limits)

    def scores(self, rows: Rows, *, precise: bool = True) -> core.Floats:
        """The scores of some documents."""
        slots = self._slots_of(rows)
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
        scores = self._score(slots, core.SCORE_PRECISE)
        best = scores >= kth_score(scores, k)
        found = self._found(slots[best].tolist(), scores[best].tolist())[:k]
        self.end()
        return found

    def explain(self, document: DocumentRow) -> Explanation:
        """The scores of one document's tokens."""
        slots = self._slots_of(np.array([document], core.PLACE))
        # The score comes from the core: a sum in another order would differ in rounding.
        score = self._score(slots, core.SCORE_PRECISE)[0]
        segment, slot = self._vectors.segments[document.segment], slots["document"].item()
        scores = self._query.explain(segment.view, slot, segment.directory.n_tokens(slot))
        self.end()
        return Explanation(scores, scores.argmax(axis=1), float(score))

    def end(self) -> None:
        """Ends the prefetching of the query. REQUIRED after `scored` and `scores`."""
        self._fetches.end()
        self._collector.ended(self._fetches)

    # ---- the stages ----

    def _searched(
        self, allowed: Allowed, options: SearchOptions, *, refines: bool
    ) -> tuple[core.Progress, bool]:
        """The search by the plan, at its end, or by the one that follows if it finds too little;
        whether all scores are precise without `refines`."""
        n_candidates = options.n_candidates(self._state, self._limits)
        nprobe = options.lists_per_token(self._state)
        plan = self._chosen(allowed, options, nprobe, n_candidates)
        is_precise = plan == planning.EXACT and (options.exact or not self._begins_fast(allowed))

        def run(plan: str) -> core.Progress:
            return self._run(
                allowed,
                core.SearchPlan(
                    ways=self._ways(plan),
                    k=options.k,
                    nprobe=nprobe,
                    n_candidates=n_candidates,
                    near_groups=planning.near_groups(plan, nprobe),
                    deviations=self._limits.stop_deviations,
                    error=self.fast_error,
                    scores=core.SCORE_PRECISE if is_precise else core.SCORE_FAST,
                    refines=refines,
                    early_ranks=self._fetches.early_ranks(nprobe),
                    most_faults=self._fetches.most_faults,
                ),
            )

        found = run(plan)
        if plan == planning.LISTS and found.candidates < min(options.k, allowed.total):
            # A filter may allow hardly any documents of the probed lists.
            self._collector.fell_back(planning.INTERACTION)
            found = run(planning.INTERACTION)
        return found, is_precise

    def _chosen(
        self, allowed: Allowed, options: SearchOptions, nprobe: int, n_candidates: int
    ) -> str:
        """The plan."""
        plan, costs = planning.EXACT, {}
        if not options.exact:
            parts = planning.parts_of(self._vectors.segments, allowed.counts)
            costs = planning.costs(parts, self._query.m, nprobe, n_candidates, self._limits)
            asked = options.candidates is not None
            plan = planning.choose(costs, parts, allowed.total, n_candidates, asked=asked)
        self._collector.planned(plan, costs)
        return plan

    def _begins_fast(self, allowed: Allowed) -> bool:
        segments = self._vectors.segments
        parts = planning.parts_of(segments, allowed.counts)
        n_centroids = max((one.codec.n_centroids for one in segments if one.codec), default=0)
        return planning.begins_fast(parts, n_centroids)

    def _ways(self, plan: str) -> bytes:
        """How the documents of each segment are found."""

        def way(segment: StoredVectors) -> int:
            if segment.codec is None or plan == planning.EXACT:
                return core.BY_SCORES
            has_lists = plan == planning.LISTS and segment.lists is not None
            return core.BY_LISTS if has_lists else core.BY_CODES

        return bytes(map(way, self._vectors.segments))

    def _run(self, allowed: Allowed, plan: core.SearchPlan) -> core.Progress:
        """Goes through the stages, to the end."""
        by_scores = [i for i, way in enumerate(plan.ways) if way == core.BY_SCORES]
        bitmaps = None if len(by_scores) == len(plan.ways) else allowed.bitmaps
        given = _joined([_slots(i, allowed.slots(i)) for i in by_scores])
        progress = self._query.search(self._views, plan, bitmaps, given)
        event, collector = core.EVENT_STAGE, self._collector
        while event != core.EVENT_END:
            with collector.stage(progress.stage):
                event = progress.go_on(one_stage=collector.by_stage)
            if event == core.EVENT_STAGE:
                collector.passed(self._vectors, progress)
            elif event != core.EVENT_END:
                with collector.stage("read"):
                    self._serve(event, progress, plan)
        self._fetches.used += progress.records
        collector.searched(progress)
        collector.scanned(self._vectors, allowed, plan.ways)
        return progress

    def _serve(self, event: int, progress: core.Progress, plan: core.SearchPlan) -> None:
        """Prefetches and verifies what a stage needs."""
        if event == core.EVENT_LISTS:
            self._read_lists(progress, plan.ways)
            return
        slots = progress.places
        if event == core.EVENT_EARLY:
            self._fetches.early(self._vectors, slots)
            self._collector.prefetched(slots)
            return
        self._fetches.records(self._vectors, slots)
        self._check(slots)

    def _read_lists(self, progress: core.Progress, ways: bytes) -> None:
        segments, probed = self._vectors.segments, progress.probes["list"]
        codec, blocks = segments[progress.segment].codec, []
        for segment, way in zip(segments, ways, strict=True):
            if way == core.BY_LISTS and segment.codec is codec and segment.lists is not None:
                blocks.append((segment.lists, segment.lists.blocks(probed)))
                self._fetches.lists(*blocks[-1])
        for lists, wanted in blocks:
            lists.check(wanted)

    # ---- scores ----

    def _found(self, places: Sequence[tuple[int, int]], scores: Sequence[float]) -> list[Found]:
        """Documents by segment and slot with their scores, best first, ties by id."""
        relevances = self.relevances(scores) or repeat(None)
        found = []
        for (index, slot), score, relevant in zip(places, scores, relevances, strict=False):
            segment = self._state.segments[index]
            row = segment.row(Slot(slot))
            key = segment.key(self._txn, row)
            found.append(Found(DocumentRow(index, row), key, score, score, None, relevant))
        return in_order(found)

    def _score(self, slots: Slots, mode: int) -> core.Floats:
        """MaxSim of the stored vectors."""
        if len(slots) == 0:
            return np.empty(0, np.float32)
        with self._collector.stage("read"):
            self._fetches.used += len(slots)
            self._fetches.records(self._vectors, slots)
            self._check(slots)
        if mode != core.SCORE_PRECISE:
            self._collector.scored(len(slots))
        with self._collector.stage("refine" if mode == core.SCORE_PRECISE else "score"):
            return self._query.score(self._views, CheckedSlots(slots), mode)

    # ---- slots ----

    def _slots_of(self, rows: Rows) -> Slots:
        slots: Slots = rows.copy()
        for i, own in by_segment(rows):
            slots["document"][own] = self._state.segments[i].slots(rows["document"][own])
        return slots

    def _check(self, slots: Slots) -> None:
        """Verifies the records that were not yet since opening."""
        for i, segment in enumerate(self._vectors.segments):
            if not segment.is_checked:
                segment.check(slots["document"][slots["segment"] == i])


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
