"""mvdb in Haystack (extra `haystack`): a document store, a retriever and a ranker."""

from mvdb.integrations.requirement import HAYSTACK

HAYSTACK.check()

from mvdb.integrations.haystack.haystack_ranker import MvdbRanker  # noqa: E402
from mvdb.integrations.haystack.haystack_retriever import MvdbRetriever  # noqa: E402
from mvdb.integrations.haystack.haystack_store import MvdbDocumentStore  # noqa: E402

__all__ = ["MvdbDocumentStore", "MvdbRanker", "MvdbRetriever"]
