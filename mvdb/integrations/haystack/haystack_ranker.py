"""Haystack's ranker: documents of any retriever, ranked by an encoder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from haystack import component, default_from_dict, default_to_dict
from haystack.dataclasses import Document

from mvdb.encoders import Encoder
from mvdb.integrations.haystack.haystack_documents import text_of
from mvdb.integrations.haystack.haystack_encoders import serialisable
from mvdb.integrations.reranking import ranked
from mvdb.integrations.text_database import encoder_of


@component
class MvdbRanker:
    """A component: the best documents by MaxSim, which becomes their score, descending."""

    def __init__(self, encoder: Encoder | str, top_k: int | None = None) -> None:
        """encoder: an encoder of mvdb, or the name of one for `mvdb.encoders.load`, which `warm_up`
        calls; top_k: number of documents that stay, None: all."""
        self.encoder = encoder
        self.top_k = top_k
        self._loaded: Any = None

    def warm_up(self) -> None:
        """Loads the encoder."""
        if self._loaded is None:
            self._loaded = encoder_of(self.encoder)

    def to_dict(self) -> dict[str, Any]:
        """The arguments, as Haystack serialises them. Raises InvalidInputError for an encoder that
        is neither a name nor has `to_dict`."""
        encoder = serialisable(self.encoder)
        data: dict[str, Any] = default_to_dict(self, encoder=encoder, top_k=self.top_k)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MvdbRanker:
        """The component with these arguments."""
        made: MvdbRanker = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The documents by MaxSim; the given ones are not changed."""
        self.warm_up()
        k = self.top_k if top_k is None else top_k
        order = ranked(self._loaded, query, [text_of(one) for one in documents], k)
        return {"documents": [replace(documents[index], score=score) for index, score in order]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same for asyncio."""
        return await asyncio.to_thread(self.run, query, documents, top_k)
