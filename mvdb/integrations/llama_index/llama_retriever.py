"""LlamaIndex's retriever on a store."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from mvdb.integrations.llama_index.llama_store import MvdbVectorStore


class MvdbRetriever(BaseRetriever):
    """A `llama_index.core.base.base_retriever.BaseRetriever`: the best nodes of a store, without an
    index or an embedding model."""

    def __init__(
        self,
        store: MvdbVectorStore,
        similarity_top_k: int = 10,
        *,
        filters: MetadataFilters | None = None,
        mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
        **options: Any,
    ) -> None:
        """filters, mode: as in LlamaIndex's queries; options: others of `mvdb.Database.search`,
        such as `min_relevance`."""
        super().__init__()
        self._store = store
        self._k = similarity_top_k
        self._filters = filters
        self._mode = mode
        self._options = options

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = VectorStoreQuery(
            query_str=query_bundle.query_str,
            similarity_top_k=self._k,
            filters=self._filters,
            mode=self._mode,
        )
        found = self._store.query(query, **self._options)
        return [
            NodeWithScore(node=node, score=score)
            for node, score in zip(found.nodes, found.similarities, strict=True)
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
