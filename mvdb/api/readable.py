"""The reading half of the API, shared by databases, snapshots and transactions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from mvdb import core
from mvdb.api.document_reader import DocumentReader, existing
from mvdb.api.hit_contents import HitContents, chosen
from mvdb.api.hit_words import HitWords, words_of
from mvdb.api.query_input import QueryInput
from mvdb.arguments import whole_number
from mvdb.documents import ids as id_keys
from mvdb.documents import tenants
from mvdb.documents.hit_fields import HitFields
from mvdb.documents.sparse_vectors import SparseMapping
from mvdb.errors import InvalidInputError
from mvdb.hooks import Cancel, Hooks, Progress
from mvdb.ingest.vectors import as_query, listed
from mvdb.lexical import query_language
from mvdb.lexical.query_language import TextQuery
from mvdb.search import lexical_search
from mvdb.search.allowed import allowed_by, without
from mvdb.search.answers import Answers, Question
from mvdb.search.found import Found
from mvdb.search.options import Filter, SearchArguments, SearchOptions
from mvdb.search.profile_collector import Collector, ProfileCollector
from mvdb.search.representatives import representative
from mvdb.state import encoder_identity
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Explanation, Hit, Id, Profile

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Readable(DocumentReader):
    """Reading methods of databases, snapshots and transactions."""

    def search(
        self,
        query: Any = None,
        k: int = 10,
        *,
        text: str | None = None,
        sparse: SparseMapping | None = None,
        mode: str = "auto",
        strict: bool = False,
        lexical_weight: float | None = None,
        fusion: str = "relative",
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        tenant: str | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
        min_relevance: float | None = None,
        offset: int = 0,
        group_by: str | None = None,
        group_size: int = 1,
        diversity: float = 0.0,
        fields: str | Sequence[str] | None = None,
    ) -> list[Hit]:
        """The k best documents: by MaxSim (ColBERT, arXiv 2004.12832), by their words with BM25 (as
        in Lucene) or their learned sparse vectors, or by MaxSim and one of these
        (docs/howto-words.md).

        Args:
            query: token vectors (m, dim), m in 1..4096, of any float dtype; rows are scaled to
                unit length, zero rows dropped. Or a str, whose words and vectors by the encoder
                are taken as the mode needs them.
            text: words to search for, beside the vectors of a query or without a query: plain
                words, "a phrase", +must, -not, prefix*, field:value. Documents that have some of
                the words are hits, but all of the phrases and words with a plus must be there, and
                none of those with a minus.
            sparse: a learned sparse vector (SPLADE, arXiv 2107.05720): weights of terms, as for
                `Database.insert`, of at most 4,096 terms; alone, or beside the vectors of a query
                in place of words (docs/howto-sparse.md). Documents that have a term of it are hits,
                by the inner product.
            mode: "dense": MaxSim. "lexical": BM25. "sparse": the inner product of sparse vectors.
                "hybrid": the best documents of both sides, at least 100 of each, all scored by
                both; `score` is in 0..1 then. Words need a lexical index
                (`mvdb.open(lexical=...)`). "auto": dense for vectors alone; lexical for text alone,
                and for a query that is a str without an encoder; sparse for sparse alone; hybrid
                for vectors with text or sparse, and for a str with an encoder, where there is a
                lexical index.
            strict: raise QueryError for malformed words, which else are searched as plain words.
            lexical_weight: hybrid: weight of the lexical side, 0..1. None: chosen by the query's
                terms, from .25 for prose to .7 for identifiers, numbers and phrases
                (docs/engine.md, "Hybrid search"); .25 for a sparse vector.
            fusion: hybrid: "relative": both sides scaled to 0..1 over the found documents and
                added. "rrf": reciprocal ranks are added, with the constant 60.
            k: number of hits; fewer when fewer documents qualify.
            filter: condition on the metadata, applied before scoring (docs/howto-filters.md).
            ids: only these documents; unknown ids are ignored, an empty sequence gives no hits.
            tenant: whose documents: needed where tenants are separated, and refused elsewhere
                (docs/howto-tenants.md).
            nprobe: dense: posting lists probed per query token, if the collection has lists and the
                plan takes them; default centroids / 1,280, at least 48, and 72 once centroids were
                added to those of the first training.
            candidates: dense: most documents from the lists that are ranked by their centroid
                codes, and scored by their stored vectors; default max(768, 48 k, 0.18
                documents^(3/4)). If no more documents qualify than you give here, all are scored.
                Both stop early when the rest cannot reach the best k.
            exact: dense: score every qualifying document by its stored vectors. Scores of words
                are always exact.
            min_score: drop hits whose `score` is below it.
            min_relevance: 0..1, not with mode "lexical": drop hits of less `Hit.relevance`; .5
                parts answers from the best hits of questions that the collection does not answer.
                The first such search measures the collection's level with 64 searches, unless
                `Database.optimize` did; with fewer than two documents there is no level, and all
                hits stay.
            offset: hits (with `group_by` groups) to leave out before the first one. Pages of one k,
                on one state (`snapshot`), neither overlap nor leave a document out. A page
                takes a few searches, for at most 16/3 (k + offset) hits in all.
            group_by: the path of a metadata field, nested ones with dots: k groups, of each value
                there at most `group_size` hits, the best ones. A document without a value there, or
                with null, is a group of its own; one of several values, as in a list, belongs to
                the least of them in the order of `documents`.
            group_size: hits of a group, at most.
            diversity: 0..1, the weight of being unlike the hits before: maximal marginal relevance
                (Carbonell and Goldstein, SIGIR 1998). From the best max(50, 4 k) documents, then
                from the next as many, the one follows with the greatest (1 - diversity) *
                relevance - diversity * similarity. Relevance: the score, scaled to 0..1 over these
                documents. Similarity: the greatest cosine with a hit selected from them before,
                between the means of the stored vectors.
            fields: names of what hits carry: "text", "metadata", or "metadata.PATH" for a part of
                it, read at once; the rest is None. (): neither is read. None: both are read at
                their first use.

        Returns:
            Hits by score descending, then id ascending (integers before strings). With `diversity`
            in the order of their selection, the hits of a group together.

        Raises:
            InvalidInputError, DimensionMismatch: for a malformed query or option, or for words in a
                database without a lexical index; for `group_by`, if no document has a value there.
            QueryError: for a malformed text, with `strict`.
            FilterError: for a malformed filter.
            CorruptionError: when needed bytes are damaged.
        """
        options = SearchOptions.checked(
            k,
            text=text,
            sparse=sparse,
            mode=mode,
            strict=strict,
            lexical_weight=lexical_weight,
            fusion=fusion,
            filter=filter,
            ids=ids,
            tenant=tenant,
            nprobe=nprobe,
            candidates=candidates,
            exact=exact,
            min_score=min_score,
            min_relevance=min_relevance,
            offset=offset,
            group_by=group_by,
            group_size=group_size,
            diversity=diversity,
            fields=fields,
        )
        return self._search([query], options, 1, Collector(), Hooks())[0]

    def search_batch(
        self,
        queries: Sequence[Any],
        k: int = 10,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SearchArguments],
    ) -> list[list[Hit]]:
        """`search` for many queries on one state. The same hits as single calls, in the order of
        the queries.

        Args:
            queries: a sequence of queries, each as for `search`.
            k: number of hits of each.
            threads: at most; None: one per processor.
            progress: called with the queries answered and given.
            cancel: a `threading.Event`, or a function; once it is set, or gives a true value,
                CancelledError is raised.
        """
        checked = SearchOptions.checked(k, **options)
        if checked.text is not None:
            raise InvalidInputError("text: search_batch takes words as queries, not as text")
        if checked.sparse is not None:
            raise InvalidInputError("sparse: search_batch takes no sparse vectors; call search")
        hooks = Hooks.checked(progress, cancel)
        if isinstance(queries, str) or getattr(queries, "ndim", 3) == 2:
            raise InvalidInputError(
                "queries: a str or a 2-D array is one query; give a sequence of them"
            )
        if threads is not None:
            threads = whole_number("threads", threads, 1)
        queries = listed("queries", queries, "query")
        return self._search(queries, checked, threads or os.cpu_count() or 1, Collector(), hooks)

    def profile(
        self, query: Any = None, k: int = 10, **options: Unpack[SearchArguments]
    ) -> Profile:
        """`search`, with the plan, its fallback, the figures and the seconds of the stages."""
        checked = SearchOptions.checked(k, **options)
        collector = ProfileCollector()
        collector.profile.hits = self._search([query], checked, 1, collector, Hooks())[0]
        return collector.profile

    def more_like(self, id: Id, k: int = 10, **options: Unpack[SearchArguments]) -> list[Hit]:
        """The documents most like a stored one, which is left out itself: `search` with its stored
        vectors as the query. Of a document of more than 64 tokens 64 are taken, at equal distances.

        Raises NotFoundError for an unknown id, and as `search` does."""
        checked = SearchOptions.checked(k, **options)
        owner = self._named(checked.tenant)
        with self._reading() as (txn, state):
            owned = tenants.find(txn, owner)
            document = existing(txn, state, id, owned)
            vectors = representative(state.segments[document.segment].vectors(txn, document.row))
            allowed = without(state, allowed_by(txn, state, checked, owned), document)
            question = self._questions([as_query(vectors, self.dim)], checked)
            answers = self._answers(txn, state, Collector(), checked)
            found = answers.pages(question, allowed, checked, 1, Hooks())[0]
            return self._hits(txn, state, found, checked.fields, None, owner)

    def rerank(
        self,
        query: Any,
        ids: Id | Sequence[Id],
        k: int | None = None,
        *,
        tenant: str | None = None,
    ) -> list[Hit]:
        """The given documents by MaxSim, descending: all, or the best k. Unknown ids are ignored.

        Raises as `search` does."""
        owner = self._named(tenant)
        keys = dict.fromkeys(map(id_keys.encode, id_keys.as_list(ids)))
        limit = len(keys) if k is None else whole_number("k", k, 1)
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state):
            prefix = tenants.find(txn, owner).prefix
            found_rows = (state.find(txn, prefix + key) for key in keys)
            documents = [row for row in found_rows if row is not None]
            if not documents:
                return []
            found = self._answers(txn, state, Collector()).reranked(vectors, documents, limit)
            return self._hits(txn, state, found, None, words_of(query, None), owner)

    def explain(
        self, query: Any, id: Id, *, text: str | None = None, tenant: str | None = None
    ) -> Explanation:
        """The dot products behind the MaxSim of one document, and what the words add to its BM25.

        Args:
            query: as for `search`, needed for its vectors. The words of a str count where the file
                has a lexical index.
            id: of the document.
            text: words as for `search`.
            tenant: to whom the document belongs, where tenants are separated.

        Raises NotFoundError for an unknown id, and as `search` does."""
        checked = SearchOptions.checked(1, text=text)
        owner, vectors = self._named(tenant), self._query_vectors([query])[0]
        words = words_of(query, checked.text)
        with self._reading() as (txn, state):
            document = existing(txn, state, id, tenants.find(txn, owner))
            answers = self._answers(txn, state, Collector())
            explanation = answers.explained(vectors, document)
            if words is None or (text is None and lexical_search.fault(state) is not None):
                return explanation
            return replace(explanation, words=answers.word_scores(words, document))

    # ---- inside ----

    def _query_vectors(self, queries: list[Any]) -> list[core.Floats]:
        texts = [query for query in queries if isinstance(query, str)]
        if texts:
            with self._reading() as (txn, _):
                stored = encoder_identity.load(txn)
            encoded = iter(self._engine.encoder.queries(texts, stored))
            queries = [next(encoded) if isinstance(query, str) else query for query in queries]
        return [as_query(query, self.dim) for query in queries]

    def _questions(self, queries: list[Any], options: SearchOptions) -> list[Question]:
        """Each query's vectors and its words or sparse vector, as its mode needs them."""
        encodes = self._engine.encoder.identity is not None
        has_words = encodes and any(isinstance(one, str) for one in queries) and self._has_words()
        inputs = [
            QueryInput.of(query, options, encodes=encodes, has_words=has_words) for query in queries
        ]
        dense = iter(self._query_vectors([one.query for one in inputs if one.query is not None]))
        return [
            Question(
                None if one.query is None else next(dense),
                None if one.text is None else query_language.parse(one.text, options.strict),
                one.sparse,
            )
            for one in inputs
        ]

    def _has_words(self) -> bool:
        """Whether the database can be searched by words."""
        with self._reading() as (_, state):
            return lexical_search.fault(state) is None

    def _search(
        self,
        queries: list[Any],
        options: SearchOptions,
        n_threads: int,
        collector: Collector,
        hooks: Hooks,
    ) -> list[list[Hit]]:
        """The hits of each query, on one state."""
        owner = self._named(options.tenant)
        questions = self._questions(queries, options)
        if not questions:
            return []
        with self._reading() as (txn, state):
            allowed = allowed_by(txn, state, options, tenants.find(txn, owner))
            answers = self._answers(txn, state, collector, options)
            pages = answers.pages(questions, allowed, options, n_threads, hooks)
            return [
                self._hits(
                    txn, state, found, options.fields, one.words or words_of(query, None), owner
                )
                for one, query, found in zip(questions, queries, pages, strict=True)
            ]

    def _answers(
        self,
        txn: ReadTransaction,
        state: State,
        collector: Collector,
        options: SearchOptions | None = None,
    ) -> Answers:
        """Searches over a state. The level of relevance is measured if the options need it."""
        engine = self._engine
        tools = engine.queries, engine.prefetcher, engine.limits
        if options is None or options.min_relevance is None:
            return Answers(txn, state, *tools, collector, engine.levels.known(txn))
        return Answers(txn, state, *tools, collector, engine.levels.needed(txn, state))

    def _hits(
        self,
        txn: ReadTransaction,
        state: State,
        found: list[Found],
        fields: HitFields | None,
        words: TextQuery | None,
        owner: str | None,
    ) -> list[Hit]:
        documents = [one.document for one in found]
        if fields is None:
            numbers = [state.segments[i].directory.numbers.item(row) for i, row in documents]
            stored = HitContents(
                numbers, self._reading_later, self._is_undone, self._engine.limits.ahead_bytes
            )
            fetches = list(map(partial, repeat(stored.fetch), range(len(found))))
        else:
            read = chosen(txn, state, documents, fields)
            fetches = list(map(partial, repeat(read.__getitem__), documents))
        marker = None if words is None else HitWords(words, self._reading_later).marks
        around = partial(self._around, owner)
        return [
            Hit(
                id_keys.decode(one.key),
                one.score,
                fetch,
                one.dense_score,
                one.lexical_score,
                one.relevance,
                marker,
                around,
            )
            for one, fetch in zip(found, fetches, strict=True)
        ]

    def _is_undone(self, number: int) -> bool:
        """Whether a document belongs to a transaction that was rolled back."""
        return False
