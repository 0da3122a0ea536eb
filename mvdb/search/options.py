"""The options of a search: checked once, before a transaction begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from mvdb.arguments import field_path, flag, fraction, number, one_of, whole_number
from mvdb.documents import ids as id_keys
from mvdb.documents import sparse_vectors
from mvdb.documents.hit_fields import HitFields
from mvdb.documents.sparse_vectors import MAX_QUERY_TERMS, SparseMapping, SparseVector
from mvdb.documents.tenants import check_name
from mvdb.errors import InvalidInputError, shown
from mvdb.filters import language
from mvdb.limits import Limits
from mvdb.search.relevance import least_score
from mvdb.state.state import State
from mvdb.types import Id

MIN_NPROBE = 48
MIN_NPROBE_EXTENDED = 72
CENTROIDS_PER_PROBE = 1280
"""Default lists per query token: centroids / CENTROIDS_PER_PROBE, at least MIN_NPROBE; once
centroids were added, at least MIN_NPROBE_EXTENDED. With more centroids, lists are shorter and
similar documents spread over more of them, the more so where older codes are of older centroids."""
CANDIDATES_POWER = 0.75

AUTO = "auto"
DENSE = "dense"
LEXICAL = "lexical"
SPARSE = "sparse"
HYBRID = "hybrid"
MODES = (AUTO, DENSE, LEXICAL, SPARSE, HYBRID)
RELATIVE = "relative"
FUSIONS = (RELATIVE, "rrf")

Filter = Mapping[str, Any]


class SearchArguments(TypedDict, total=False):
    """The options of a search as users give them; see `Database.search`."""

    text: str | None
    sparse: SparseMapping | None
    mode: str
    strict: bool
    lexical_weight: float | None
    fusion: str
    filter: Filter | None
    ids: Id | Sequence[Id] | None
    tenant: str | None
    nprobe: int | None
    candidates: int | None
    exact: bool
    min_score: float | None
    min_relevance: float | None
    offset: int
    group_by: str | None
    group_size: int
    diversity: float
    fields: str | Sequence[str] | None


class SearchOptions(NamedTuple):
    """How to search; see `Database.search`. ids: their keys, without a tenant."""

    k: int
    text: str | None
    sparse: SparseVector | None
    mode: str
    strict: bool
    lexical_weight: float | None
    fusion: str
    filter: language.Node | None
    ids: tuple[bytes, ...] | None
    tenant: str | None
    nprobe: int | None
    candidates: int | None
    exact: bool
    min_score: float | None
    min_relevance: float | None
    offset: int
    group_by: str | None
    group_size: int
    diversity: float
    fields: HitFields | None

    @classmethod
    def checked(
        cls,
        k: int,
        *,
        text: str | None = None,
        sparse: SparseMapping | None = None,
        mode: str = AUTO,
        strict: bool = False,
        lexical_weight: float | None = None,
        fusion: str = RELATIVE,
        filter: Filter | None = None,
        ids: Id | Sequence[Id] | None = None,
        tenant: str | None = None,
        nprobe: int | None = None,
        candidates: int | None = None,
        exact: bool = False,
        min_score: float | None = None,
        min_relevance: float | None = None,
        offset: int = 0,
        group_by: str | None = None,
        group_size: int = 1,
        diversity: float = 0.0,
        fields: str | Sequence[str] | None = None,
    ) -> SearchOptions:
        """The options of a call; InvalidInputError or FilterError for a malformed one."""
        return cls(
            whole_number("k", k, 1),
            None if text is None else _text(text),
            None if sparse is None else sparse_vectors.checked(sparse, "sparse", MAX_QUERY_TERMS),
            one_of("mode", mode, MODES),
            flag("strict", strict),
            None if lexical_weight is None else fraction("lexical_weight", lexical_weight),
            one_of("fusion", fusion, FUSIONS),
            None if filter is None else language.parse(filter),
            None if ids is None else tuple(map(id_keys.encode, id_keys.as_list(ids))),
            None if tenant is None else check_name(tenant),
            None if nprobe is None else whole_number("nprobe", nprobe, 1),
            None if candidates is None else whole_number("candidates", candidates, 1),
            flag("exact", exact),
            None if min_score is None else number("min_score", min_score),
            None if min_relevance is None else fraction("min_relevance", min_relevance),
            whole_number("offset", offset, 0),
            None if group_by is None else field_path("group_by", group_by),
            whole_number("group_size", group_size, 1),
            fraction("diversity", diversity),
            None if fields is None else HitFields.checked(fields),
        )

    def with_least_relevance(self, n_tokens: int, level: float | None) -> SearchOptions:
        """The options with `min_relevance` as a `min_score`, of a query of so many tokens in a
        collection of this level of relevance (None: unknown)."""
        if self.min_relevance is None or level is None:
            return self
        least = least_score(self.min_relevance, n_tokens, level)
        if self.min_score is not None:
            least = max(least, self.min_score)
        return self._replace(min_score=least)

    def of_size(self, k: int, candidates: int | None = None) -> SearchOptions:
        """The options for the best `k`; candidates: if given, in place of those there."""
        if candidates is not None:
            return self._replace(k=k, candidates=candidates)
        return self if k == self.k else self._replace(k=k)

    def lists_per_token(self, state: State) -> int:
        """Posting lists probed per query token."""
        if self.nprobe is not None:
            return self.nprobe
        codebook = state.codebook
        if codebook is None:
            return MIN_NPROBE
        least = MIN_NPROBE_EXTENDED if codebook.extends else MIN_NPROBE
        return max(least, codebook.codec.n_centroids // CENTROIDS_PER_PROBE)

    def n_candidates(self, state: State, limits: Limits) -> int:
        """Maximum number of documents that are scored, and that are ranked by codes with lists."""
        if self.candidates is not None:
            return max(self.candidates, self.k)
        documents = state.manifest.live_documents
        return max(
            limits.min_candidates,
            limits.candidates_per_hit * self.k,
            int(limits.candidates_factor * documents**CANDIDATES_POWER),
        )


def _text(text: Any) -> str:
    if isinstance(text, str):
        return str(text)
    raise InvalidInputError(f"text: a str is needed, not {shown(text)}")
