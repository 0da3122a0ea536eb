"""mvdb in LangChain (extra `langchain`): a vector store, a retriever, a reranker and a translator
of structured queries."""

from mvdb.integrations.requirement import LANGCHAIN

LANGCHAIN.check()

from mvdb.integrations.langchain.langchain_filters import MvdbTranslator  # noqa: E402
from mvdb.integrations.langchain.langchain_reranker import MvdbReranker  # noqa: E402
from mvdb.integrations.langchain.langchain_retriever import MvdbRetriever  # noqa: E402
from mvdb.integrations.langchain.langchain_store import MvdbVectorStore  # noqa: E402

__all__ = ["MvdbReranker", "MvdbRetriever", "MvdbTranslator", "MvdbVectorStore"]
