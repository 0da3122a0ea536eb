"""The reading half of the API, shared by databases, snapshots and transactions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from mvdb import core
from mvdb.api import hit_contents
from mvdb.api.engine import Engine
from mvdb.api.hit_contents import HitContents
from mvdb.arguments import whole_number
from mvdb.documents import id_table
from mvdb.documents import ids as id_keys
from mvdb.errors import InvalidInputError, NotFoundError
from mvdb.ingest.vectors import as_query, listed
from mvdb.search.allowed import allowed_by
from mvdb.search.options import Filter, SearchOptions
from mvdb.search.profile_collector import Collector, ProfileCollector
from mvdb.search.search import Found, Search
from mvdb.state import encoder_identity
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.threads.workers import Workers, ordered_map
from mvdb.types import Document, Explanation, Hit, Id, Profile

Self = TypeVar("Self", bound="Readable")
IDS_PER_READ = 1024


class Readable(ABC):
    """Reading methods of databases, snapshots and transactions, which are context managers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dim = engine.settings.dim

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(failed=kind is not None)

    @abstractmethod
    def _leave(self, *, failed: bool) -> None:
        """The end of a ``with`` block, left by an exception or not."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        """A transaction and the state that it sees."""

    def __reduce__(self) -> NoReturn:
        """Refuses pickling and copying: locks and threads belong to their process."""
        kind, path = type(self).__name__, self._engine.path
        raise TypeError(
            f"{path}: a {kind} cannot be pickled or copied; share it among threads, and in another "
            f"process open the file anew: mvdb.open({str(path)!r})"
        )

    # ---- search ----

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
    ) -> list[Hit]:
        """The k documents with the greatest MaxSim (ColBERT, arXiv 2004.12832).

        Args:
            query: token vectors (m, dim), m in 1..4096, of any float dtype; rows are scaled to
                unit length, zero rows dropped. With an encoder also a str.
            k: number of hits; fewer when fewer documents qualify.
            filter: condition on the metadata, applied before scoring (docs/howto-filters.md).
            ids: only these documents; unknown ids are ignored, an empty sequence gives no hits.
            nprobe: posting lists probed per query token, if the collection has lists and the plan
                takes them; default centroids / 1,280, at least 48.
            candidates: documents from the lists that are ranked by their centroid codes, and at
                most scored by their stored vectors; default max(512, 32 k, 0.12
                documents^(3/4)), with 1,024 instead of 512 once centroids were added to those of
                the first training. Scoring stops early when the rest cannot reach the best k.
            exact: score every qualifying document by its stored vectors.
            min_score: drop hits below it.

        Returns:
            Hits by score descending, then id ascending (integers before strings).

        Raises:
            InvalidInputError, DimensionMismatch: for a malformed query.
            FilterError: for a malformed filter.
            CorruptionError: when needed bytes are damaged.
        """
        options = SearchOptions.checked(k, filter, ids, nprobe, candidates, exact, min_score)
        return self._search([query], options, 1, Collector())[0]

    def search_batch(
        self,
        queries: Sequence[Any],
        k: int = 10,
        *,
        threads: int | None = None,
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
    ) -> list[list[Hit]]:
        """`search` for many queries on one state, on `threads` threads (default: one per
        processor). The same hits as single calls, in the order of the queries."""
        options = SearchOptions.checked(k, filter, ids, nprobe, candidates, exact, min_score)
        if isinstance(queries, str) or getattr(queries, "ndim", 3) == 2:
            raise InvalidInputError(
                "queries: a str or a 2-D array is one query; give a sequence of them"
            )
        if threads is not None:
            threads = whole_number("threads", threads, 1)
        queries = listed("queries", queries, "query")
        return self._search(queries, options, threads or os.cpu_count() or 1, Collector())

    def profile(
        self,
        query: Any,
        k: int = 10,
        *,
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
    ) -> Profile:
        """`search`, with the plan, its fallback, the figures and the seconds of the stages."""
        options = SearchOptions.checked(k, filter, ids, nprobe, candidates, exact, min_score)
        collector = ProfileCollector()
        collector.profile.hits = self._search([query], options, 1, collector)[0]
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
            document = _existing(txn, state, id)
            with self._loaded(txn, state, vectors, Collector()) as search:
                return search.explain(document)

    # ---- documents ----

    def get(self, ids: Id | Sequence[Id]) -> list[Document | None]:
        """The documents with these ids, in their order; None for an unknown id."""
        names = id_keys.as_list(ids)
        result: list[Document | None] = [None] * len(names)
        with self._reading() as (txn, state):
            wanted: dict[DocumentRow, list[int]] = {}
            for position, name in enumerate(names):
                document = state.find(txn, id_keys.encode(name))
                if document is not None:
                    wanted.setdefault(document, []).append(position)
            for document, stored in hit_contents.in_blocks(txn, state, wanted):
                n_tokens = state.segments[document.segment].n_tokens(document.row)
                for position in wanted[document]:
                    text, fields = hit_contents.decoded(stored)
                    name = id_keys.plain(names[position])
                    result[position] = Document(name, text, fields, n_tokens)
        return result

    def vectors(self, ids: Id | Sequence[Id]) -> list[core.Floats]:
        """The stored vectors (n, dim) of these documents, reconstructed as float32.

        Raises NotFoundError for an unknown id."""
        with self._reading() as (txn, state):
            documents = [_existing(txn, state, name) for name in id_keys.as_list(ids)]
            return [state.segments[index].vectors(txn, row) for index, row in documents]

    def __len__(self) -> int:
        with self._reading() as (_, state):
            return state.manifest.live_documents

    def __bool__(self) -> bool:
        return True  # `if db:` asks whether there is one, not whether it holds documents

    def __contains__(self, id: object) -> bool:
        try:
            key = id_keys.encode(id)  # type: ignore[arg-type]
        except InvalidInputError:
            return False
        with self._reading() as (txn, _):
            return id_table.get(txn, key) is not None

    def ids(self) -> Iterator[Id]:
        """All ids in order: integers, then strings. Commits during the iteration may or may not be
        seen; iterate over a `snapshot()` for a fixed state."""
        after: bytes | None = None
        while True:
            with self._reading() as (txn, _):
                entries = islice(id_table.entries(txn, after), IDS_PER_READ)
                chunk = [key for key, _number in entries]
            yield from map(id_keys.decode, chunk)
            if len(chunk) < IDS_PER_READ:
                return
            after = chunk[-1]

    # ---- inside ----

    def _query_vectors(self, queries: list[Any]) -> list[core.Floats]:
        texts = [query for query in queries if isinstance(query, str)]
        if texts:
            with self._reading() as (txn, _):
                stored = encoder_identity.load(txn)
            encoded = iter(self._engine.encoder.queries(texts, stored))
            queries = [next(encoded) if isinstance(query, str) else query for query in queries]
        return [as_query(query, self.dim) for query in queries]

    def _search(
        self, queries: list[Any], options: SearchOptions, n_threads: int, collector: Collector
    ) -> list[list[Hit]]:
        """The hits of each query, on one state."""
        matrices = self._query_vectors(queries)
        if not matrices:
            return []
        with self._reading() as (txn, state):
            allowed = allowed_by(txn, state, options)
            if not allowed.total:
                return [[] for _ in matrices]

            def run(vectors: core.Floats) -> list[Found]:
                with self._loaded(txn, state, vectors, collector) as search:
                    return search.best(allowed, options)

            n_threads = min(n_threads, len(matrices))
            if n_threads <= 1:
                results = [run(vectors) for vectors in matrices]
            else:
                state.open_vectors(txn)
                # In the shield: what waits for threads must not be interrupted midway.
                results = shield.run(lambda: _in_threads(n_threads, run, matrices))
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
    n_threads: int, run: Callable[[core.Floats], list[Found]], matrices: list[core.Floats]
) -> list[list[Found]]:
    with Workers(n_threads, "mvdb-search") as executor:
        return list(ordered_map(executor, run, matrices, 4 * n_threads))


def _existing(txn: ReadTransaction, state: State, id: Id) -> DocumentRow:
    document = state.find(txn, id_keys.encode(id))
    if document is None:
        raise NotFoundError(f"no document has the id {id!r}; get() gives None for such ids")
    return document
