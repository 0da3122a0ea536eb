"""Answers a query by meaning and by words at once.

1. Both sides give their best documents, at least SIDE each (search.py, lexical_search.py).
2. The union is scored by both sides completely: what only words have found gets its MaxSim, what
   only vectors have found its BM25. Documents that lack a phrase of the query are dropped.
3. Both scores become one (fusion.py). The weight of the words and the scales of both sides are
   those of the first union; a larger one, for later pages or groups, keeps them, so that a document
   has the same score in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search import fusion
from mvdb.search.found import Found, Ranking, Rows, Scores, at_least, greatest, joined
from mvdb.search.fusion import Scale
from mvdb.search.lexical_search import Evidence
from mvdb.search.options import RELATIVE, SearchOptions
from mvdb.search.profile_collector import Collector
from mvdb.search.relevance import with_exact_evidence
from mvdb.search.search import Search
from mvdb.search.second_side import SecondSide
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction

SIDE = 100
"""Least number of documents that each side gives: with fewer the best ones of one side lack
competitors of the other, and the scales depend on chance."""
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
        relevance: Callable[[Scores], Scores | None],
    ) -> None:
        """lexical: the words with the emphasis of a hybrid search, or a sparse vector. relevance:
        of dense scores; None without a level."""
        self._state = state
        self._txn = txn
        self._search = search
        self._lexical = lexical
        self._options = options
        self._collector = collector
        self._relevance = relevance
        self._weight = options.lexical_weight
        self._scales: tuple[Scale, Scale] | None = None

    def best(self, n: int, allowed: Allowed) -> list[Found]:
        """The best n allowed documents, best first, ties by id."""
        among = self._lexical.restricted(allowed)
        if not among.total:
            return []
        size = max(SIDE, 2 * n)
        while True:
            rows, dense, n_dense = self._union(among, n, size)
            evidence = self._lexical.evidence(rows)
            kept = evidence.qualifies
            if not self._lexical.drops or kept.sum() >= n or size >= among.total:
                break
            size *= GROWTH
        rows, dense, evidence = rows[kept], dense[kept], evidence.of(kept)
        scores = self._fused(dense, evidence.lexical, evidence.exact)
        self._collector.fused(len(kept) - n_dense, self._weight)
        ranking = self._relevant(Ranking(rows, scores, dense, evidence.plain), evidence)
        return at_least(ranking.best(self._state, self._txn, n), self._options.min_score)

    def _union(self, among: Allowed, n: int, size: int) -> tuple[Rows, core.Floats, int]:
        """The documents of both sides with their dense scores, those of the dense side first; how
        many these are."""
        search = self._search()
        # A larger k would ask for more candidates, which the best n do not need.
        candidates = search.candidates(replace(self._options, k=n))
        options = replace(self._options, k=size, candidates=candidates)
        slots, dense = search.ranking(among, options)
        rows = search.rows(slots)
        kept = greatest(rows, dense, size)
        rows, dense = rows[kept], dense[kept]
        by_words, scores = self._lexical.ranking(among, size, with_ties=False)
        by_words = by_words[greatest(by_words, scores, size)]
        union, new = joined(rows, by_words)
        dense = np.concatenate([dense, search.scores(by_words[new])])
        search.end()
        return union, dense, len(rows)

    def _fused(
        self, dense: core.Floats, lexical: core.Floats, exact: core.Floats
    ) -> NDArray[np.float64]:
        if self._scales is None:
            self._scales = Scale.of(dense), Scale.of(lexical)
            if self._weight is None:
                self._weight = fusion.lexical_weight(exact, lexical)
        if self._options.fusion == RELATIVE:
            assert self._weight is not None
            return fusion.relative(dense, lexical, self._weight, self._scales)
        return fusion.reciprocal(dense, lexical)

    def _relevant(self, ranking: Ranking, evidence: Evidence) -> Ranking:
        """The ranking with relevances, without the documents of too little relevance."""
        relevances = None if ranking.dense is None else self._relevance(ranking.dense)
        if relevances is None:
            return ranking
        relevances = with_exact_evidence(relevances, evidence.exact, evidence.lexical)
        # Each side gives twice the documents asked for. If fewer remain here, both sides have gone
        # below the least relevance, and a larger union has no more.
        kept = relevances >= (self._options.min_relevance or 0.0)
        return replace(ranking, relevances=relevances).of(kept)
