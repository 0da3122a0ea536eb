"""LlamaIndex's reranker: nodes of any retriever, ranked by an encoder."""

from __future__ import annotations

from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from mvdb.errors import InvalidInputError
from mvdb.integrations.llama_index.llama_nodes import text_of
from mvdb.integrations.reranking import ranked
from mvdb.integrations.text_database import encoder_of


class MvdbReranker(BaseNodePostprocessor):
    """A `llama_index.core.postprocessor.types.BaseNodePostprocessor`: the best nodes by MaxSim,
    which becomes their score, descending.

    Attributes:
        encoder: an encoder of mvdb, or the name of one for `mvdb.encoders.load`.
        top_n: number of nodes that stay; None: all."""

    encoder: Any
    top_n: int | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Loads an encoder that was given by name."""
        self.encoder = encoder_of(self.encoder)

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the class."""
        return "MvdbReranker"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InvalidInputError("query_bundle: the reranker needs the query")
        texts = [text_of(one.node) for one in nodes]
        return [
            NodeWithScore(node=nodes[index].node, score=score)
            for index, score in ranked(self.encoder, query_bundle.query_str, texts, self.top_n)
        ]
