"""Answers the queries of one call over one state: by meaning (MaxSim), by words (BM25) or a learned
sparse vector, or by meaning and one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mvdb import core
from mvdb.documents.sparse_vectors import SparseVector
from mvdb.errors import InvalidInputError
from mvdb.hooks import Hooks
from mvdb.lexical.query_language import TextQuery
from mvdb.limits import Limits
from mvdb.search import lexical_search
from mvdb.search.arrangement import Arrangement, Ranked, arrangement_of
from mvdb.search.calibration import measured_level
from mvdb.search.found import Found
from mvdb.search.fusion import EXACT_FACTOR
from mvdb.search.hybrid import HybridSearch
from mvdb.search.lexical_search import LexicalSearch
from mvdb.search.options import DENSE, HYBRID, LEXICAL, SPARSE, SearchOptions
from mvdb.search.prefetch import Prefetcher
from mvdb.search.profile_collector import Collector
from mvdb.search.query_pool import QueryPool
from mvdb.search.search import Search
from mvdb.search.second_side import SecondSide
from mvdb.search.sparse_search import SparseSearch
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.threads.workers import Workers, ordered_map
from mvdb.types import Explanation


class Question(NamedTuple):
    """One query. vectors: unit rows (m, dim); None for a search without meaning. words, sparse: the
    second side, one of them; neither in a search by meaning alone."""

    vectors: core.Floats | None
    words: TextQuery | None
    sparse: SparseVector | None = None

    @property
    def mode(self) -> str:
        """DENSE, LEXICAL, SPARSE or HYBRID."""
        if self.vectors is None:
            return LEXICAL if self.sparse is None else SPARSE
        return DENSE if self.words is None and self.sparse is None else HYBRID


@dataclass(frozen=True)
class Answers:
    """The searches of one call. Lives as long as its transaction; shared by threads."""

    txn: ReadTransaction
    state: State
    queries: QueryPool
    prefetcher: Prefetcher
    limits: Limits
    collector: Collector
    level: float | None = None
    """The level of relevance, if it is known."""

    def pages(
        self,
        questions: list[Question],
        allowed: Allowed,
        options: SearchOptions,
        n_threads: int,
        hooks: Hooks,
    ) -> list[list[Found]]:
        """The documents that each question finds among the allowed ones."""
        if any(one.words is not None for one in questions):
            lexical_search.check(self.state)
        if options.min_relevance is not None and any(one.vectors is None for one in questions):
            raise InvalidInputError(
                "min_relevance: a search by words or a sparse vector alone has no relevance; give "
                "vectors or an encoder, or leave it out"
            )
        arrangement = arrangement_of(self.txn, self.state, options)

        def run(question: Question) -> list[Found]:
            return self._page(question, allowed, arrangement)

        n_threads = min(n_threads, len(questions))
        if n_threads <= 1:
            return _reported(map(run, questions), len(questions), hooks)
        if any(one.vectors is not None for one in questions):
            self.state.open_vectors(self.txn)
        # In the shield: what waits for threads must not be interrupted midway.
        return shield.run(lambda: _in_threads(n_threads, run, questions, hooks))

    def _page(self, question: Question, allowed: Allowed, arrangement: Arrangement) -> list[Found]:
        self.collector.begun(question.mode)
        if not allowed.total:
            return []
        if question.vectors is None:
            alone, options = self._second_side(question, allowed), arrangement.options
            return arrangement.page(lambda n, among: alone.best(among, options.of_size(n)), allowed)
        with self.queries.loaded(question.vectors) as query:
            ranked = self._ranked(question, query, allowed, arrangement.options)
            return arrangement.page(ranked, allowed)

    def _ranked(
        self, question: Question, query: core.Query, allowed: Allowed, options: SearchOptions
    ) -> Ranked:
        """The ranking of a question with vectors, which `query` has."""
        if question.mode == DENSE:
            bounded = options.with_least_relevance(query.m, self.level)
            return lambda n, among: self.search(query).best(among, bounded.of_size(n))
        side = self._second_side(question, allowed, EXACT_FACTOR)
        search = partial(self.search, query)
        return HybridSearch(self.state, self.txn, search, side, options, self.collector).best

    def _second_side(
        self, question: Question, allowed: Allowed, emphasis: float = 1.0
    ) -> SecondSide:
        if question.sparse is None:
            return self._lexical(question, allowed, emphasis)
        return SparseSearch(self.state, self.txn, question.sparse, self.collector)

    def _lexical(
        self, question: Question, allowed: Allowed, emphasis: float = 1.0
    ) -> LexicalSearch:
        assert question.words is not None
        return LexicalSearch(
            self.state, self.txn, question.words, allowed, self.collector, emphasis=emphasis
        )

    def reranked(
        self, vectors: core.Floats, documents: Sequence[DocumentRow], k: int
    ) -> list[Found]:
        """The best k of some documents by MaxSim."""
        with self.queries.loaded(vectors) as query:
            return self.search(query).rerank(documents, k)

    def explained(self, vectors: core.Floats, document: DocumentRow) -> Explanation:
        """The scores of one document's tokens."""
        with self.queries.loaded(vectors) as query:
            return self.search(query).explain(document)

    def measured_level(self, check: Callable[[], None]) -> float | None:
        """The level of relevance of the state, by 64 searches. check: called before each."""
        options = SearchOptions.checked(2)

        def best_two(vectors: core.Floats) -> list[Found]:
            check()
            with self.queries.loaded(vectors) as query:
                return self.search(query).best(self.state.everything, options)

        return measured_level(self.txn, self.state, best_two)

    def word_scores(self, words: TextQuery, document: DocumentRow) -> dict[str, float]:
        """What each word of a query adds to the BM25 of a document."""
        lexical_search.check(self.state)
        question = Question(None, words)
        return self._lexical(question, self.state.everything).contributions(document)

    def search(self, query: core.Query) -> Search:
        """A search with a loaded query."""
        return Search(
            self.state,
            self.txn,
            query,
            self.prefetcher,
            self.limits,
            self.collector,
            self.level,
        )


def _in_threads(
    n_threads: int,
    run: Callable[[Question], list[Found]],
    questions: list[Question],
    hooks: Hooks,
) -> list[list[Found]]:
    with Workers(n_threads, "mvdb-search") as executor:
        results = ordered_map(executor, run, questions, 4 * n_threads)
        return _reported(results, len(questions), hooks)


def _reported(results: Iterator[list[Found]], total: int, hooks: Hooks) -> list[list[Found]]:
    """The results, each reported."""
    kept: list[list[Found]] = []
    hooks.check()
    for one in results:
        kept.append(one)
        hooks.report(len(kept), total)
    return kept
