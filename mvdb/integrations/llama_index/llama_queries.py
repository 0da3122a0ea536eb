"""LlamaIndex's queries as searches of mvdb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from mvdb.errors import InvalidInputError
from mvdb.integrations.filter_parts import Filter, all_of, condition
from mvdb.integrations.llama_index.llama_filters import translated

_MMR_THRESHOLD = 0.5
_MMR_PREFETCH_FACTOR = 4
"""Both are the defaults of LlamaIndex's own vector store."""

_MODES = {
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.TEXT_SEARCH: "lexical",
    VectorStoreQueryMode.SPARSE: "lexical",
}
_STORE_DECIDES = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR)
_UNKNOWN = ("sparse_top_k", "output_fields", "embedding_field")
"""Fields of a query for which mvdb has nothing."""


@dataclass(frozen=True)
class Search:
    """What to ask a `TextDatabase`; by maximal marginal relevance with a `diversity`."""

    query: str | list[float]
    k: int
    options: dict[str, Any]
    fetch_k: int = 0
    diversity: float | None = None


def search_of(query: VectorStoreQuery, extra: Mapping[str, Any]) -> Search:
    """The search with the same meaning. extra: options of `mvdb.Database.search`, and
    `mmr_threshold` and `mmr_prefetch_k`.

    Raises InvalidInputError or FilterError for a query that has no counterpart."""
    for field in _UNKNOWN:
        if getattr(query, field) is not None:
            raise InvalidInputError(f"query: mvdb has nothing for {field}; leave it out")
    if query.mode not in _MODES and query.mode not in _STORE_DECIDES:
        known = ", ".join(mode.value for mode in (*_STORE_DECIDES, *_MODES))
        raise InvalidInputError(f"query: mode {query.mode.value!r} is not one of {known}")
    text = query.query_embedding if query.query_str is None else query.query_str
    if text is None:
        raise InvalidInputError("query: it has neither query_str nor query_embedding")
    options = {**extra, "filter": _condition(query, extra.get("filter"))}
    if query.node_ids:
        options["ids"] = query.node_ids
    if query.mode in _MODES:
        options["mode"] = _MODES[query.mode]
    k = query.similarity_top_k
    if query.mode == VectorStoreQueryMode.HYBRID:
        k = query.hybrid_top_k or k
        if query.alpha is not None:
            options["lexical_weight"] = 1 - query.alpha
    if query.mode != VectorStoreQueryMode.MMR:
        return Search(text, k, options)
    fetch_k = options.pop("mmr_prefetch_k", _MMR_PREFETCH_FACTOR * k)
    threshold = options.pop("mmr_threshold", query.mmr_threshold)
    return Search(
        text, k, options, fetch_k, 1 - (_MMR_THRESHOLD if threshold is None else threshold)
    )


def _condition(query: VectorStoreQuery, own: Filter | None) -> Filter | None:
    """Every condition of the query, and a filter of mvdb's own."""
    parts = [] if own is None else [own]
    if query.filters is not None:
        parts.append(translated(query.filters))
    if query.doc_ids:
        parts.append(condition("ref_doc_id", "$in", query.doc_ids))
    return all_of(parts) if parts else None
