"""LangChain's vector store on a database.

The asynchronous methods are those of LangChain's base class: they call the synchronous ones in a
pool of threads.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor
from langchain_core.vectorstores import VectorStore

import mvdb
from mvdb.encoders import Encoder
from mvdb.errors import InvalidInputError
from mvdb.integrations.one_vector_encoder import OneVectorEncoder
from mvdb.integrations.text_database import Location, TextDatabase


class MvdbVectorStore(VectorStore):
    """A `langchain_core.vectorstores.VectorStore` in one file. A context manager.

    With an encoder of mvdb a text is a matrix of token vectors, and a search joins meaning and
    words. With LangChain's `Embeddings` a text is one vector.

    Keyword arguments of the searches are those of `mvdb.Database.search`: `filter` (a mapping, see
    docs/howto-filters.md), `mode`, `ids`, `min_score`, `min_relevance`, `group_by` and others."""

    def __init__(
        self,
        database: Location,
        embedding: Embeddings | Encoder | str | None = None,
        *,
        mode: str | None = None,
        **options: Any,
    ) -> None:
        """Opens the file; creates it if it does not exist.

        Args:
            database: the path of a file, or an open `mvdb.Database` (or a collection of one), which
                brings its own encoder and which `close` leaves open.
            embedding: an encoder of mvdb, the name of one for `mvdb.encoders.load`, or LangChain's
                `Embeddings`. None: documents cannot be added, and a search is by words alone.
            mode: of searches, as in `mvdb.Database.search`. None: "dense" with `Embeddings`, else
                "auto".
            options: others of `mvdb.open`. With `Embeddings`, `dim` saves the embedding of one word
                by which the store finds it out.

        Raises InvalidInputError for an unknown mode and for an encoder beside an open database, and
        what `mvdb.open` raises."""
        self._embeddings = embedding if isinstance(embedding, Embeddings) else None
        encoder: Any = embedding
        if self._embeddings is not None:
            embed = self._embeddings
            encoder = OneVectorEncoder(
                embed, embed.embed_documents, embed.embed_query, options.get("dim")
            )
        default = "auto" if self._embeddings is None else "dense"
        self._texts = TextDatabase(database, encoder, default if mode is None else mode, options)

    @property
    def database(self) -> mvdb.Database:
        """The database, for all that LangChain has no call for."""
        return self._texts.database

    @property
    def embeddings(self) -> Embeddings | None:
        """The `Embeddings` that were given; None with an encoder of mvdb."""
        return self._embeddings

    def close(self) -> None:
        """Closes the file, unless an open database was given."""
        self._texts.close()

    def __enter__(self) -> MvdbVectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing ----

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | Encoder | str | None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        database: Location,
        **options: Any,
    ) -> MvdbVectorStore:
        """A store with these texts: `__init__`, then `add_texts`."""
        store = cls(database, embedding, **options)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Sequence[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts, in one transaction; a text whose id is there replaces it whole.

        Args:
            texts: any number.
            metadatas: a JSON object for each.
            ids: of each; None: a new UUID.

        Returns the ids. Raises InvalidInputError when the numbers differ, an id is given twice, or
        mvdb cannot store an id or metadata."""
        if kwargs:
            raise InvalidInputError(f"add_texts: unknown arguments {', '.join(kwargs)}")
        texts = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise InvalidInputError(f"{name}: {len(given)} for {len(texts)} texts")
        names = [one or str(uuid.uuid4()) for one in (ids or [None] * len(texts))]
        self._texts.put(names, texts, metadatas or [{}] * len(texts))
        return names

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Deletes the documents of these ids, or those that match `filter`; without either, all
        documents. Unknown ids are ignored. Always True."""
        condition = kwargs.pop("filter", None)
        if kwargs:
            raise InvalidInputError(f"delete: unknown arguments {', '.join(kwargs)}")
        if ids is None and condition is None:
            condition = {}
        self.database.delete(None if ids is None else list(ids), filter=condition)
        return True

    # ---- reading ----

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids, in their order, without those that are not there."""
        return [_document(one) for one in self._texts.get(ids)]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The best `k` documents. Raises what `mvdb.Database.search` raises."""
        return [_document(hit) for hit in self._texts.search(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The best `k` documents with `mvdb.Hit.score`: MaxSim ("dense"; with `Embeddings` the
        cosine), BM25 ("lexical") or both joined, in 0..1 ("hybrid"). More is better."""
        return [(_document(hit), hit.score) for hit in self._texts.search(query, k, **kwargs)]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """The best `k` documents for one vector, as a query of one token."""
        return [_document(hit) for hit in self._texts.search(embedding, k, **kwargs)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """`k` of the best `fetch_k` documents, chosen to be near the query and unlike each other:
        `diversity=1 - lambda_mult` of `mvdb.Database.search`."""
        hits = self._texts.diverse(query, k, fetch_k, 1 - lambda_mult, **kwargs)
        return [_document(hit) for hit in hits]

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """The same for one vector, as a query of one token."""
        hits = self._texts.diverse(embedding, k, fetch_k, 1 - lambda_mult, **kwargs)
        return [_document(hit) for hit in hits]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """With `Embeddings`: (1 + cosine) / 2. With an encoder of mvdb: `mvdb.Hit.relevance`, and 1
        in a collection of less than two documents, which has no level to compare with. Raises
        InvalidInputError in mode "lexical", which has no relevance."""
        if self._embeddings is None:
            hits = self._texts.search(query, k, **{"min_relevance": 0.0, **kwargs})
            values = [1.0 if hit.relevance is None else hit.relevance for hit in hits]
        else:
            hits = self._texts.search(query, k, **kwargs)
            values = [_relevance_of_cosine(hit.dense_score) for hit in hits]
        return [(_document(hit), value) for hit, value in zip(hits, values, strict=True)]

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found: list[tuple[Document, float]] = await run_in_executor(
            None, self._similarity_search_with_relevance_scores, query, k, **kwargs
        )
        return found


def _relevance_of_cosine(cosine: float | None) -> float:
    if cosine is None:
        raise InvalidInputError('mode: "lexical" has no relevance scores; use another mode')
    return min(1.0, max(0.0, (1 + cosine) / 2))


def _document(found: mvdb.Document | mvdb.Hit) -> Document:
    return Document(
        id=str(found.id), page_content=found.text or "", metadata=dict(found.metadata or {})
    )
