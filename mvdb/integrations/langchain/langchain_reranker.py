"""LangChain's reranker: documents of any retriever, ranked by an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict

from mvdb.integrations.reranking import ranked
from mvdb.integrations.text_database import encoder_of


class MvdbReranker(BaseDocumentCompressor):
    """A `langchain_core.documents.BaseDocumentCompressor`: the best documents by descending
    MaxSim. The score is added to the metadata, as `relevance_score`.

    Attributes:
        encoder: an encoder of mvdb, or the name of one for `mvdb.encoders.load`.
        top_n: number of documents that stay; None: all."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    encoder: Any
    top_n: int | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Loads an encoder that was given by name."""
        self.encoder = encoder_of(self.encoder)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The documents by MaxSim, descending; the given ones are not changed."""
        texts = [document.page_content for document in documents]
        return [
            documents[index].model_copy(
                update={"metadata": {**documents[index].metadata, "relevance_score": score}}
            )
            for index, score in ranked(self.encoder, query, texts, self.top_n)
        ]
