"""LlamaIndex's vector store on a database.

The asynchronous methods call the synchronous ones in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

import mvdb
from mvdb.encoders import Encoder
from mvdb.errors import InvalidInputError
from mvdb.integrations.filter_parts import condition
from mvdb.integrations.llama_index.llama_filters import translated
from mvdb.integrations.llama_index.llama_nodes import metadata_of, node_of, text_of
from mvdb.integrations.llama_index.llama_queries import search_of
from mvdb.integrations.one_vector_encoder import OneVectorEncoder
from mvdb.integrations.text_database import Location, TextDatabase


class MvdbVectorStore(BasePydanticVectorStore):
    """A `llama_index.core.vector_stores.types.BasePydanticVectorStore` in one file. A context
    manager.

    It is asked by `query_str`, and encodes texts and queries itself: an index on it needs no
    embedding model (`MockEmbedding(embed_dim=1)`). The text of a node is encoded without its
    metadata."""

    stores_text: bool = True
    is_embedding_query: bool = False
    _texts: TextDatabase = PrivateAttr()

    def __init__(
        self,
        database: Location,
        encoder: Encoder | BaseEmbedding | str | None = None,
        *,
        mode: str = "auto",
        **options: Any,
    ) -> None:
        """Opens the file; creates it if it does not exist.

        Args:
            database: the path of a file, or an open `mvdb.Database` (or a collection of one), which
                brings its own encoder and which `close` leaves open.
            encoder: an encoder of mvdb, the name of one for `mvdb.encoders.load`, or LlamaIndex's
                `BaseEmbedding`, with which a text is one vector. None: nodes cannot be added, and a
                query is by words alone.
            mode: of queries in the mode "default", as in `mvdb.Database.search`.
            options: others of `mvdb.open`.

        Raises InvalidInputError for an unknown mode and for an encoder beside an open database, and
        what `mvdb.open` raises."""
        super().__init__(stores_text=True, is_embedding_query=False)
        if isinstance(encoder, BaseEmbedding):
            encoder = OneVectorEncoder(
                encoder,
                encoder.get_text_embedding_batch,
                encoder.get_query_embedding,
                options.get("dim"),
            )
        self._texts = TextDatabase(database, encoder, mode, options)

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the class."""
        return "MvdbVectorStore"

    @property
    def client(self) -> mvdb.Database:
        """The database, for all that LlamaIndex has no call for."""
        return self._texts.database

    def close(self) -> None:
        """Closes the file, unless an open database was given."""
        self._texts.close()

    def __enter__(self) -> MvdbVectorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing ----

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Adds nodes, in one transaction; a node whose id is there replaces it whole. Returns the
        ids. Embeddings that the nodes have are not used."""
        ids = [node.node_id for node in nodes]
        self._texts.put(ids, [text_of(one) for one in nodes], [metadata_of(one) for one in nodes])
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of a document."""
        self.client.delete(filter=condition("ref_doc_id", "$eq", ref_doc_id))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Deletes the nodes of these ids, those that match the filters, or, with both, those of the
        ids that match. Raises InvalidInputError without either."""
        if node_ids is None and filters is None:
            raise InvalidInputError("delete_nodes: give node_ids or filters; clear deletes all")
        with self.client.transaction() as txn:
            if node_ids is None:
                txn.delete(filter=translated(filters))
            else:
                kept = None if filters is None else set(txn.ids(translated(filters)))
                txn.delete([one for one in node_ids if kept is None or one in kept])

    def clear(self) -> None:
        """Deletes all nodes."""
        self.client.delete(filter={})

    # ---- reading ----

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes of these ids in their order, or those that match the filters in the order of
        ids; with both, those of the ids that match; without either, all."""
        matching = None if filters is None else translated(filters)
        with self.client.snapshot() as state:
            if node_ids is None:
                return [node_of(one) for one in state.documents(matching)]
            kept = None if matching is None else set(state.ids(matching))
            wanted = [one for one in node_ids if kept is None or one in kept]
            return [node_of(one) for one in state.get(wanted) if one is not None]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes for `query_str`, or, without it, for `query_embedding` as a query of one
        token.

        Modes: "default" (the store's), "hybrid" (`alpha`: weight of the vectors), "text_search" and
        "sparse" (words alone), "mmr" (`mmr_threshold`; of the best 4 `similarity_top_k`, or of
        `mmr_prefetch_k=`). `similarities` are `mvdb.Hit.score`. kwargs: other options of
        `mvdb.Database.search`.

        Raises InvalidInputError for other modes and for `sparse_top_k`, `output_fields` and
        `embedding_field`; FilterError for filters that mvdb does not have."""
        search = search_of(query, kwargs)
        if search.diversity is None:
            hits = self._texts.search(search.query, search.k, **search.options)
        else:
            hits = self._texts.diverse(
                search.query, search.k, search.fetch_k, search.diversity, **search.options
            )
        nodes = [node_of(hit) for hit in hits]
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[hit.score for hit in hits],
            ids=[node.node_id for node in nodes],
        )

    # ---- the same for asyncio ----

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """See `add`."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """See `delete`."""
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """See `delete_nodes`."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        """See `clear`."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """See `get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """See `query`."""
        return await asyncio.to_thread(self.query, query, **kwargs)
