"""The reading half of the API, shared by databases, snapshots and transactions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mvdb import core
from mvdb.api.document_reader import DocumentReader, existing
from mvdb.api.hit_contents import HitContents
from mvdb.api.query_input import QueryInput
from mvdb.arguments import whole_number
from mvdb.documents import ids as id_keys
from mvdb.errors import InvalidInputError
from mvdb.ingest.vectors import as_query, listed
from mvdb.lexical import query_language
from mvdb.lexical.query_language import TextQuery
from mvdb.search import lexical_search
from mvdb.search.allowed import allowed_by
from mvdb.search.lexical_search import LexicalSearch
from mvdb.search.options import DENSE, LEXICAL, Filter, SearchArguments, SearchOptions
from mvdb.search.profile_collector import Collector, ProfileCollector
from mvdb.search.search import Found, Search
from mvdb.state import encoder_identity
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.threads.workers import Workers, ordered_map
from mvdb.types import Explanation, Hit, Id, Profile

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class Readable(DocumentReader):
    """Reading methods of databases, snapshots and transactions."""

    def search(
        self,
        query: Any = None,
        k: int = 10,
        *,
        text: str | None = None,
        mode: str = "auto",
        strict: bool = False,
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
    ) -> list[Hit]:
        """The k best documents: by MaxSim (ColBERT, arXiv 2004.12832), or by their words with BM25
        (as in Lucene; docs/howto-words.md).

        Args:
            query: token vectors (m, dim), m in 1..4096, of any float dtype; rows are scaled to
                unit length, zero rows dropped. Or a str: the encoder's vectors of it are taken;
                without an encoder its words.
            text: words to search for, without a query: plain words, "a phrase", +must, -not,
                prefix*, field:value. Documents that have some of the words are hits, but all of
                the phrases and words with a plus must be there, and none of those with a minus.
            mode: "dense": MaxSim. "lexical": BM25 of the words of `text`, or of a query that is a
                str; needs a lexical index (`mvdb.open(lexical=...)`). "auto": lexical for words
                that are not encoded, dense for all else.
            strict: raise QueryError for a malformed `text`, which else is searched as plain words.
            k: number of hits; fewer when fewer documents qualify.
            filter: condition on the metadata, applied before scoring (docs/howto-filters.md).
            ids: only these documents; unknown ids are ignored, an empty sequence gives no hits.
            nprobe: dense: posting lists probed per query token, if the collection has lists and the
                plan takes them; default centroids / 1,280, at least 48.
            candidates: dense: documents from the lists that are ranked by their centroid codes, and
                at most scored by their stored vectors; default max(512, 32 k, 0.12
                documents^(3/4)), with 1,024 instead of 512 once centroids were added to those of
                the first training. Scoring stops early when the rest cannot reach the best k.
            exact: dense: score every qualifying document by its stored vectors. Scores of words
                are always exact.
            min_score: drop hits below it.

        Returns:
            Hits by score descending, then id ascending (integers before strings).

        Raises:
            InvalidInputError, DimensionMismatch: for a malformed query, or for words in a database
                without a lexical index.
            QueryError: for a malformed text, with `strict`.
            FilterError: for a malformed filter.
            CorruptionError: when needed bytes are damaged.
        """
        options = SearchOptions.checked(
            k,
            text=text,
            mode=mode,
            strict=strict,
            filter=filter,
            ids=ids,
            nprobe=nprobe,
            candidates=candidates,
            exact=exact,
            min_score=min_score,
        )
        return self._search([query], options, 1, Collector())[0]

    def search_batch(
        self,
        queries: Sequence[Any],
        k: int = 10,
        *,
        threads: int | None = None,
        **options: Unpack[SearchArguments],
    ) -> list[list[Hit]]:
        """`search` for many queries on one state, on `threads` threads (default: one per
        processor). The same hits as single calls, in the order of the queries."""
        checked = SearchOptions.checked(k, **options)
        if checked.text is not None:
            raise InvalidInputError("text: search_batch takes words as queries, not as text")
        if isinstance(queries, str) or getattr(queries, "ndim", 3) == 2:
            raise InvalidInputError(
                "queries: a str or a 2-D array is one query; give a sequence of them"
            )
        if threads is not None:
            threads = whole_number("threads", threads, 1)
        queries = listed("queries", queries, "query")
        return self._search(queries, checked, threads or os.cpu_count() or 1, Collector())

    def profile(
        self, query: Any = None, k: int = 10, **options: Unpack[SearchArguments]
    ) -> Profile:
        """`search`, with the plan, its fallback, the figures and the seconds of the stages."""
        checked = SearchOptions.checked(k, **options)
        collector = ProfileCollector()
        collector.profile.hits = self._search([query], checked, 1, collector)[0]
        return collector.profile

    def rerank(self, query: Any, ids: Id | Sequence[Id], k: int | None = None) -> list[Hit]:
        """The given documents by MaxSim, descending: all, or the best k. Unknown ids are ignored.

        Raises as `search` does."""
        keys = dict.fromkeys(map(id_keys.encode, id_keys.as_list(ids)))
        limit = len(keys) if k is None else whole_number("k", k, 1)
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state):
            documents = [row for key in keys if (row := state.find(txn, key)) is not None]
            if not documents:
                return []
            with self._loaded(txn, state, vectors, Collector()) as search:
                found = search.rerank(documents, limit)
        return self._hits(state, found)

    def explain(self, query: Any, id: Id) -> Explanation:
        """The dot products behind the score of one document.

        Raises NotFoundError for an unknown id, and as `search` does."""
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state):
            document = existing(txn, state, id)
            with self._loaded(txn, state, vectors, Collector()) as search:
                return search.explain(document)

    # ---- inside ----

    def _query_vectors(self, queries: list[Any]) -> list[core.Floats]:
        texts = [query for query in queries if isinstance(query, str)]
        if texts:
            with self._reading() as (txn, _):
                stored = encoder_identity.load(txn)
            encoded = iter(self._engine.encoder.queries(texts, stored))
            queries = [next(encoded) if isinstance(query, str) else query for query in queries]
        return [as_query(query, self.dim) for query in queries]

    def _prepared(
        self, queries: list[Any], options: SearchOptions
    ) -> list[core.Floats | TextQuery]:
        """The vectors of dense queries, the parsed words of lexical ones."""
        encodes = self._engine.encoder.identity is not None
        inputs = [QueryInput.of(query, options, encodes=encodes) for query in queries]
        dense = iter(self._query_vectors([one.query for one in inputs if one.mode == DENSE]))
        return [
            next(dense) if one.mode == DENSE else query_language.parse(one.text, options.strict)
            for one in inputs
        ]

    def _search(
        self, queries: list[Any], options: SearchOptions, n_threads: int, collector: Collector
    ) -> list[list[Hit]]:
        """The hits of each query, on one state."""
        loaded = self._prepared(queries, options)
        if not loaded:
            return []
        with self._reading() as (txn, state):
            if any(isinstance(query, TextQuery) for query in loaded):
                lexical_search.check(state)
            allowed = allowed_by(txn, state, options)

            def run(query: core.Floats | TextQuery) -> list[Found]:
                if isinstance(query, TextQuery):
                    collector.begun(LEXICAL)
                    return LexicalSearch(state, txn, query, collector).best(allowed, options)
                collector.begun(DENSE)
                if not allowed.total:
                    return []
                with self._loaded(txn, state, query, collector) as search:
                    return search.best(allowed, options)

            n_threads = min(n_threads, len(loaded))
            if n_threads <= 1:
                results = [run(query) for query in loaded]
            else:
                if not all(isinstance(query, TextQuery) for query in loaded):
                    state.open_vectors(txn)
                # In the shield: what waits for threads must not be interrupted midway.
                results = shield.run(lambda: _in_threads(n_threads, run, loaded))
        return [self._hits(state, found) for found in results]

    @contextmanager
    def _loaded(
        self, txn: ReadTransaction, state: State, vectors: core.Floats, collector: Collector
    ) -> Iterator[Search]:
        """A search of one query, for the length of a block."""
        engine = self._engine
        with engine.queries.use() as query:
            query.load(vectors)
            yield Search(state, txn, query, engine.prefetcher, engine.limits, collector)

    def _hits(self, state: State, found: list[Found]) -> list[Hit]:
        documents = [one.document for one in found]
        numbers = [int(state.segments[i].directory.numbers[row]) for i, row in documents]
        stored = HitContents(
            numbers, self._reading_later, self._is_undone, self._engine.limits.ahead_bytes
        )
        return [
            Hit(id_keys.decode(one.key), one.score, partial(stored.fetch, index))
            for index, one in enumerate(found)
        ]

    def _reading_later(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        """The same as `_reading` for hits, which may outlive what gave them."""
        return self._reading()

    def _is_undone(self, number: int) -> bool:
        """Whether a document belongs to a transaction that was rolled back."""
        return False


def _in_threads(
    n_threads: int, run: Callable[[T], list[Found]], queries: list[T]
) -> list[list[Found]]:
    with Workers(n_threads, "mvdb-search") as executor:
        return list(ordered_map(executor, run, queries, 4 * n_threads))
