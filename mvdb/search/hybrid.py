"""Answers a query by meaning and by words at once.

1. The vectors give the documents that are scored to find the best ones (search.py), the words
   their best ones (lexical_search.py).
2. The union is scored by both sides completely: what only words have found gets its MaxSim, what
   only vectors have found its BM25. Documents that lack a phrase of the query are dropped.
3. Both scores become one (fusion.py). The weight of the words and the scales of both sides are
   those of the first union; a larger one, for later pages or groups, keeps them, so that a document
   has the same score in all.
4. Documents that may be among the best are scored precisely (union.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mvdb.search import fusion
from mvdb.search.found import Found, Ranking, Scores, at_least, greatest, joined
from mvdb.search.fusion import Scale
from mvdb.search.lexical_search import Evidence
from mvdb.search.options import RELATIVE, SearchOptions
from mvdb.search.profile_collector import Collector
from mvdb.search.relevance import with_exact_evidence
from mvdb.search.search import Search
from mvdb.search.second_side import SecondSide
from mvdb.search.union import Union
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction

SIDE = 100
"""Documents that each side gives at most, or twice those asked for: with fewer the best ones of one
side lack competitors of the other, and the scales depend on chance."""
GROWTH = 4
"""Ratio of the documents of each side to those of the time before, while phrases that must not be
there leave too few."""


class HybridSearch:
    """One query over one state. Used by one thread."""

    def __init__(
        self,
        state: State,
        txn: ReadTransaction,
        search: Callable[[], Search],
        lexical: SecondSide,
        options: SearchOptions,
        collector: Collector,
    ) -> None:
        """lexical: the words with the emphasis of a hybrid search, or a sparse vector."""
        self._state = state
        self._txn = txn
        self._search = search
        self._lexical = lexical
        self._options = options
        self._collector = collector
        self._weight = options.lexical_weight
        self._scales: tuple[Scale, Scale] | None = None

    def best(self, n: int, allowed: Allowed) -> list[Found]:
        """The best n allowed documents, best first, ties by id."""
        among = self._lexical.restricted(allowed)
        if not among.total:
            return []
        search, depth = self._search(), n
        while True:
            union, n_dense = self._union(search, among, n, depth)
            evidence = self._lexical.evidence(union.rows)
            kept = evidence.qualifies
            if not self._lexical.drops or kept.sum() >= n or _size(depth) >= among.total:
                break
            depth = GROWTH * _size(depth)
        union, evidence = union.of(kept), evidence.of(kept)
        scores = self._fused(union, evidence, n)
        search.end()
        self._collector.fused(len(kept) - n_dense, self._weight)
        ranking = Ranking(union.rows, scores, union.dense, evidence.plain)
        ranking, evidence = ranking.of(union.is_precise), evidence.of(union.is_precise)
        ranking = self._relevant(search, ranking, evidence)
        return at_least(ranking.best(self._state, self._txn, n), self._options.min_score)

    def _union(self, search: Search, among: Allowed, n: int, depth: int) -> tuple[Union, int]:
        """The documents of both sides, those of the dense side first; how many these are. depth:
        the dense side is as good as the best so many deserve."""
        # A larger k would ask for more candidates, which the best n do not need.
        candidates = search.candidates(self._options.of_size(n))
        scored = search.scored(among, self._options.of_size(depth, candidates))
        rows = search.rows(scored.slots)
        kept = greatest(rows, scored.scores, _size(depth))
        rows, dense = rows[kept], scored.scores[kept]
        by_words, scores = self._lexical.ranking(among, _size(depth), with_ties=False)
        by_words = by_words[greatest(by_words, scores, _size(depth))]
        rows, new = joined(rows, by_words)
        others = search.scores(by_words[new], precise=scored.is_precise)
        dense = np.concatenate([dense, others])
        is_precise = np.full(len(rows), scored.is_precise)
        union = Union(rows, dense, is_precise, search.fast_error, search.scores)
        return union, len(kept)

    def _fused(self, union: Union, evidence: Evidence, n: int) -> Scores:
        """The scores of a union by both sides. Of documents that cannot be among the best n the
        dense scores are not precise."""
        options, lexical = self._options, evidence.lexical
        if options.fusion != RELATIVE or options.min_relevance is not None:
            union.refine(np.ones(len(union), np.bool_))
        if self._scales is None:
            self._scales = union.scale(), Scale.of(lexical)
            if self._weight is None:
                self._weight = fusion.lexical_weight(evidence.exact, lexical)
        if options.fusion != RELATIVE:
            return fusion.reciprocal(union.dense, lexical)
        weight, scales = self._weight, self._scales
        assert weight is not None
        return union.refine_best(
            lambda dense: fusion.relative(dense, lexical, weight, scales),
            n,
            (1.0 - weight) * scales[0].slope,
        )

    def _relevant(self, search: Search, ranking: Ranking, evidence: Evidence) -> Ranking:
        """The ranking with relevances, without the documents of too little relevance."""
        by_meaning = None if ranking.dense is None else search.relevances(ranking.dense.tolist())
        if by_meaning is None:
            return ranking
        relevances = with_exact_evidence(np.array(by_meaning), evidence.exact, evidence.lexical)
        # Each side gives twice the documents asked for. If fewer remain here, both sides have gone
        # below the least relevance, and a larger union has no more.
        kept = relevances >= (self._options.min_relevance or 0.0)
        return replace(ranking, relevances=relevances).of(kept)


def _size(depth: int) -> int:
    """Documents of each side at most."""
    return max(SIDE, 2 * depth)
