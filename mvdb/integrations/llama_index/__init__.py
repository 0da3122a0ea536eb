"""mvdb in LlamaIndex (extra `llama-index`): a vector store, a retriever and a reranker."""

from mvdb.integrations.requirement import LLAMA_INDEX

LLAMA_INDEX.check()

from mvdb.integrations.llama_index.llama_reranker import MvdbReranker  # noqa: E402
from mvdb.integrations.llama_index.llama_retriever import MvdbRetriever  # noqa: E402
from mvdb.integrations.llama_index.llama_store import MvdbVectorStore  # noqa: E402

__all__ = ["MvdbReranker", "MvdbRetriever", "MvdbVectorStore"]
