"""The reading half of the API, shared by databases, snapshots and transactions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NoReturn

import numpy as np

from mvdb import core
from mvdb.api import hit_contents
from mvdb.api.engine import Engine
from mvdb.api.hit_contents import HitContents
from mvdb.arguments import flag, number, whole_number
from mvdb.documents import id_table
from mvdb.documents import ids as id_keys
from mvdb.errors import InvalidInputError, NotFoundError
from mvdb.filters import columns, language
from mvdb.ingest.vectors import as_query, listed
from mvdb.search.search import Found, Options, Search
from mvdb.state import encoder_identity
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.threads.workers import Workers, ordered_map
from mvdb.types import Document, Explanation, Hit, Id, Profile

IDS_PER_READ = 1024

Filter = Mapping[str, Any]


class Readable(ABC):
    """Everything that can be searched. Methods are described where users meet them first:
    `Database`."""

    dim: int
    _engine: Engine

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
            query: token vectors (m, dim), m in 1..4096, of any float dtype; rows are brought to
                unit length, zero rows dropped. With an encoder also a str.
            k: number of hits; fewer when fewer documents qualify.
            filter: condition on the metadata, applied before scoring (docs/howto-filters.md).
            ids: only these documents; unknown ids are ignored, an empty sequence gives no hits.
            nprobe: inverted lists read per query token, where the collection has lists and they
                are worth it; default one for 1,280
                centroids, at least 48.
            candidates: documents that go on from the lists to the ranking by centroid codes and,
                at most, to the scoring of their stored vectors; default max(512, 32 k,
                0.12 documents^(3/4)), with 1,024 instead of 512 once centroids were added to those
                of the first training. Scoring stops earlier when the rest cannot matter.
            exact: score every qualifying document by its stored vectors.
            min_score: drop hits below it.

        Returns:
            Hits by score descending, then id ascending (integers before strings).

        Raises:
            InvalidInputError, DimensionMismatch: for a query that is none.
            FilterError: for a malformed filter.
            CorruptionError: when bytes needed are damaged.
        """
        options = _options(k, nprobe, candidates, exact, min_score)
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state):
            allowed = self._allowed(txn, state, filter, ids)
            found = self._run(txn, state, vectors, allowed, options, None)
        return self._hits(state, found)

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
        options = _options(k, nprobe, candidates, exact, min_score)
        if isinstance(queries, str) or getattr(queries, "ndim", 3) == 2:
            raise InvalidInputError(
                "queries: a str or a 2-D array is one query; give a sequence of them"
            )
        if threads is not None:
            threads = whole_number("threads", threads, 1)
        matrices = self._query_vectors(listed("queries", queries, "query"))
        if not matrices:
            return []
        with self._reading() as (txn, state):
            allowed = self._allowed(txn, state, filter, ids)
            if state.segments:
                state.segment_list(txn)

            def run(vectors: core.Floats) -> list[Found]:
                return self._run(txn, state, vectors, allowed, options, None)

            n_threads = min(threads or os.cpu_count() or 1, len(matrices))
            if n_threads <= 1:
                results = [run(vectors) for vectors in matrices]
            else:
                # In the shield: what waits for threads must not be interrupted midway.
                results = shield.run(lambda: _in_threads(n_threads, run, matrices))
        return [self._hits(state, found) for found in results]

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
        """`search`, with what it did and what each stage cost."""
        options = _options(k, nprobe, candidates, exact, min_score)
        vectors = self._query_vectors([query])[0]
        profile = Profile()
        with self._reading() as (txn, state):
            allowed = self._allowed(txn, state, filter, ids)
            found = self._run(txn, state, vectors, allowed, options, profile)
        profile.hits = self._hits(state, found)
        return profile

    def rerank(self, query: Any, ids: Id | Sequence[Id], k: int | None = None) -> list[Hit]:
        """The given documents in order of their MaxSim, all or the best k; unknown ids are ignored.

        Raises as `search` does."""
        keys = dict.fromkeys(id_keys.encode(name) for name in id_keys.as_list(ids))
        limit = len(keys) if k is None else whole_number("k", k, 1)
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state):
            located = [place for key in keys if (place := _locate(txn, state, key))]
            places = np.array(
                [(s, state.segments[s].slot(row)) for s, row in located], dtype=core.PLACE
            )
            with self._engine.queries.use() as query_object:
                query_object.load(vectors)
                search = Search(state, txn, query_object, self._engine.prefetcher, None)
                found = search.rank(places, limit) if located else []
        return self._hits(state, found)

    def explain(self, query: Any, id: Id) -> Explanation:
        """How the score of one document comes about.

        Raises NotFoundError for an unknown id, and as `search` does."""
        vectors = self._query_vectors([query])[0]
        with self._reading() as (txn, state), self._engine.queries.use() as query_object:
            place = self._existing_place(txn, state, id)
            segment = state.segments[place[0]]
            slot = segment.slot(place[1])
            segment.check_records(txn, np.array([slot], np.uint32))
            query_object.load(vectors)
            scores = query_object.explain(segment.view(txn), slot, segment.n_tokens(place[1]))
            # By the core, as a search does it: the sum in another order would differ in rounding.
            places = np.array([(place[0], slot)], core.PLACE)
            score = query_object.score(state.segment_list(txn), places, precise=True)[0]
        return Explanation(scores, scores.argmax(axis=1), float(score))

    # ---- documents ----

    def get(self, ids: Id | Sequence[Id]) -> list[Document | None]:
        """The documents with these ids, None where there is none."""
        names = id_keys.as_list(ids)
        result: list[Document | None] = [None] * len(names)
        with self._reading() as (txn, state):
            wanted: dict[tuple[int, int], list[int]] = {}
            for position, name in enumerate(names):
                place = self._place(txn, state, name)
                if place is not None:
                    wanted.setdefault(place, []).append(position)
            for place, stored in hit_contents.in_blocks(txn, state, wanted):
                n_tokens = state.segments[place[0]].n_tokens(place[1])
                for position in wanted[place]:
                    text, fields = hit_contents.decoded(stored)
                    name = id_keys.plain(names[position])
                    result[position] = Document(name, text, fields, n_tokens)
        return result

    def vectors(self, ids: Id | Sequence[Id]) -> list[core.Floats]:
        """The stored vectors (n, dim) of these documents, reconstructed as float32.

        Raises NotFoundError for an unknown id."""
        with self._reading() as (txn, state):
            places = [self._existing_place(txn, state, name) for name in id_keys.as_list(ids)]
            return [state.segments[s].vectors(txn, row) for s, row in places]

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
        """All ids in order: integers, then strings. What other writers change while the iteration
        goes on may or may not be seen; iterate over a `snapshot()` for a fixed state."""
        after: bytes | None = None
        while True:
            chunk = []
            with self._reading() as (txn, _):
                for key, _number in id_table.entries(txn, after):
                    chunk.append(key)
                    if len(chunk) == IDS_PER_READ:
                        break
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

    def _run(
        self,
        txn: ReadTransaction,
        state: State,
        vectors: core.Floats,
        allowed: Allowed | None,
        options: Options,
        profile: Profile | None,
    ) -> list[Found]:
        if allowed is None or not state.segments:
            return []
        with self._engine.queries.use() as query:
            query.load(vectors)
            return Search(state, txn, query, self._engine.prefetcher, profile).run(allowed, options)

    def _allowed(
        self,
        txn: ReadTransaction,
        state: State,
        filter: Filter | None,
        ids: Id | Sequence[Id] | None,
    ) -> Allowed | None:
        """The documents that qualify; None when there are none."""
        if filter is None and ids is None:
            return state.everything
        allowed = list(state.live)
        if filter is not None:
            node = language.parse(filter)
            for i, segment in enumerate(state.segments):
                index = segment.columns(txn)
                if index is None:
                    index = _no_metadata(len(segment))
                _restrict(allowed, i, columns.evaluate(node, index))
        if ids is not None:
            masks = [np.zeros(len(segment), bool) for segment in state.segments]
            for name in id_keys.as_list(ids):
                place = self._place(txn, state, name)
                if place is not None:
                    masks[place[0]][place[1]] = True
            for i, mask in enumerate(masks):
                _restrict(allowed, i, mask)
        result = Allowed(state.segments, allowed)
        return result if result.total else None

    def _place(self, txn: ReadTransaction, state: State, id: Id) -> tuple[int, int] | None:
        return _locate(txn, state, id_keys.encode(id))

    def _existing_place(self, txn: ReadTransaction, state: State, id: Id) -> tuple[int, int]:
        place = self._place(txn, state, id)
        if place is None:
            raise NotFoundError(f"no document has the id {id!r}; get() gives None for such ids")
        return place

    def _hits(self, state: State, found: list[Found]) -> list[Hit]:
        numbers = [int(state.segments[one.segment].directory.numbers[one.row]) for one in found]
        stored = HitContents(numbers, self._reading_later, self._is_undone)
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


def _locate(txn: ReadTransaction, state: State, key: bytes) -> tuple[int, int] | None:
    number = id_table.get(txn, key)
    return None if number is None else state.locate(number)


def _options(
    k: int, nprobe: int | None, candidates: int | None, exact: bool, min_score: float | None
) -> Options:
    return Options(
        whole_number("k", k, 1),
        None if nprobe is None else whole_number("nprobe", nprobe, 1),
        None if candidates is None else whole_number("candidates", candidates, 1),
        flag("exact", exact),
        None if min_score is None else number("min_score", min_score),
    )


def _restrict(allowed: list[Live | None], index: int, mask: Live) -> None:
    before = allowed[index]
    allowed[index] = mask if before is None else before & mask


def _no_metadata(n_documents: int) -> columns.Columns:
    blobs = columns.build([None] * n_documents)
    return columns.Columns(lambda index: blobs[index], n_documents)
