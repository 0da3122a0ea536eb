"""Haystack's retriever on a store."""

from __future__ import annotations

import asyncio
from typing import Any

from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import Document
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from mvdb.errors import InvalidInputError
from mvdb.integrations.haystack.haystack_store import MvdbDocumentStore


@component
class MvdbRetriever:
    """A component: the best documents of a store for a text, by meaning and words."""

    def __init__(
        self,
        document_store: MvdbDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy = FilterPolicy.REPLACE,
        options: dict[str, Any] | None = None,
    ) -> None:
        """filters, top_k: of searches that give none; filter_policy: whether filters of a search
        replace those or add to them; options: others of `mvdb.Database.search`, such as `mode` and
        `min_relevance`.

        Raises InvalidInputError for another store."""
        if not isinstance(document_store, MvdbDocumentStore):
            raise InvalidInputError(
                f"document_store: an MvdbDocumentStore is needed, not {document_store!r}"
            )
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.filter_policy = filter_policy
        self.options = options

    def to_dict(self) -> dict[str, Any]:
        """The arguments, as Haystack serialises them."""
        data: dict[str, Any] = default_to_dict(
            self,
            document_store=self.document_store,
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            options=self.options,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MvdbRetriever:
        """The component with these arguments."""
        arguments = dict(data.get("init_parameters", {}))
        if "filter_policy" in arguments:
            arguments["filter_policy"] = FilterPolicy.from_str(arguments["filter_policy"])
        made: MvdbRetriever = default_from_dict(cls, {**data, "init_parameters": arguments})
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best `top_k` documents, with `mvdb.Hit.score`."""
        chosen = apply_filter_policy(self.filter_policy, self.filters, filters)
        k = self.top_k if top_k is None else top_k
        found = self.document_store.search(query, chosen, k, **(self.options or {}))
        return {"documents": found}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same for asyncio."""
        return await asyncio.to_thread(self.run, query, filters, top_k)
