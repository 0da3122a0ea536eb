"""LangChain's retriever on a store."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor
from pydantic import Field

from mvdb.integrations.langchain.langchain_store import MvdbVectorStore


class MvdbRetriever(BaseRetriever):
    """A `langchain_core.retrievers.BaseRetriever`: the best documents of a store, with all options
    of a search. `invoke(query, k=..., filter=...)` replaces single ones for one call.

    Attributes:
        store: where to search.
        k: number of documents.
        options: others of `mvdb.Database.search`, such as `filter`, `mode` and `min_relevance`."""

    store: MvdbVectorStore
    k: int = 4
    options: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self.store.similarity_search(query, **{"k": self.k, **self.options, **kwargs})

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        found: list[Document] = await run_in_executor(
            None,
            self._get_relevant_documents,
            query,
            run_manager=run_manager.get_sync(),
            **kwargs,
        )
        return found
