"""Answers a query that is a learned sparse vector: the documents with the greatest inner product of
the query's weights and theirs, as stored, exactly.

In a hybrid search all of a sparse vector is support, none of it exact evidence: the weight of this
side is that of prose (fusion.py), whatever the terms are.
"""

from __future__ import annotations

import numpy as np

from mvdb import core
from mvdb.documents.sparse_vectors import SparseVector
from mvdb.lexical import bm25
from mvdb.search.found import Found, Ranking, Rows, at_least, kth_score
from mvdb.search.lexical_search import Evidence
from mvdb.search.options import SearchOptions
from mvdb.search.profile_collector import Collector
from mvdb.search.term_ranking import TermRanking
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction


class SparseSearch:
    """One sparse vector over one state. Used by one thread."""

    drops = False
    """As in `SecondSide`: no condition is left to `evidence`."""

    def __init__(
        self, state: State, txn: ReadTransaction, query: SparseVector, collector: Collector
    ) -> None:
        self._state = state
        self._txn = txn
        self._collector = collector
        self._weights = weights = state.open_weights(txn)
        self._rows = TermRanking(state, weights, collector, "sparse")
        self._query: core.TermQuery | None = None
        if len(query):
            with collector.stage("terms"):
                pairs = zip(query.terms(), query.weights.tolist(), strict=True)
                self._query = bm25.weight_query(weights.indexes, dict(pairs))

    def best(self, allowed: Allowed, options: SearchOptions) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""
        rows, scores = self.ranking(allowed, options.k)
        found = Ranking(rows, scores, lexical=scores).best(self._state, self._txn, options.k)
        return at_least(found, options.min_score)

    def restricted(self, allowed: Allowed) -> Allowed:
        """All of the allowed documents: no term must be there."""
        return allowed

    def ranking(
        self, allowed: Allowed, k: int, *, with_ties: bool = True
    ) -> tuple[Rows, core.Floats]:
        """The best k documents that have a term of the query, in no order. with_ties: and all whose
        score is that of the k-th."""
        if self._query is None or not allowed.total:
            return np.empty(0, core.PLACE), np.empty(0, np.float32)
        among = self._rows.among(allowed)
        ranking = self._rows.best(self._query, among, k, with_ties=with_ties)
        best = ranking.scores >= kth_score(ranking.scores, k)
        return self._rows.rows(ranking.places[best]), ranking.scores[best]

    def evidence(self, rows: Rows) -> Evidence:
        """The inner products of some documents: support alone, and none fails to qualify."""
        scores = np.zeros(len(rows), np.float32)
        if self._query is not None:
            places, has_weights = self._rows.places(rows)
            with self._collector.stage("sparse"):
                scores[has_weights] = self._query.score(self._weights.terms, places)
        qualifies, exact = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.float32)
        return Evidence(qualifies, lexical=scores, exact=exact, plain=scores)
