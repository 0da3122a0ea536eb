"""Plan of a query: posting lists or a scan of all codes, by the lower estimated cost; or the score
of all allowed documents, if these are few or if it is asked for.

The constants are seconds on one core of a current server for a query of up to 32 tokens; only their
ratios matter. `bench/search.py` prints the measured times of the stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mvdb.limits import Limits
from mvdb.segment.stored_vectors import StoredVectors

EXACT = "exact"
INTERACTION = "interaction"
LISTS = "lists"

SCORE_TOKEN = 9e-9
INTERACT_CODE = 0.35e-9
READ_LIST = 80e-9
GATHER_POSTING = 2.5e-9
POSTINGS_PER_TOKEN = 0.7
"""A document is in a list once, however many of its tokens have the code."""
INTERACTED = 0.6
"""Share of the candidates that is ranked by codes before the rest cannot matter, on average."""
TOKENS_PER_BLOCK = 32
FEW_TOKENS = 1 << 15
"""Tokens whose scores take less time than the stages that would save some of them."""
GROUPS_SCANNED = 64
"""Groups of centroids near each query token whose scores a scan of codes takes."""
GROUPS_LISTED, LISTS_PER_GROUP = 16, 6
"""The same for lists, and one more for so many lists per query token."""
ROWS_PER_TOKEN = 2
"""Rows of the table of centroid scores that take as long as the precise score of a token beyond its
fast score: 1.6 for a query of 8 tokens, 1.9 for 32, 1.6 for 64 (dim 128, 18,815 centroids,
AVX2)."""


class Part(NamedTuple):
    """The estimate's view of a quantised segment. n_lists: 0 without lists. allowed: documents."""

    n_lists: int
    documents: int
    tokens: int
    allowed: int

    @property
    def allowed_tokens(self) -> float:
        """Their expected number."""
        return self.tokens * self.allowed / self.documents


def parts_of(segments: Sequence[StoredVectors], counts: Sequence[int]) -> list[Part]:
    """The quantised segments, of which `counts` documents are allowed."""
    parts = []
    for segment, count in zip(segments, counts, strict=True):
        if segment.codec is not None:
            n_lists = 0 if segment.lists is None else segment.lists.view.n_lists
            tokens = segment.directory.starts.item(-1)
            parts.append(Part(n_lists, len(segment), tokens, count))
    return parts


def _allowed_tokens(parts: Sequence[Part]) -> float:
    return sum(part.allowed_tokens for part in parts)


def costs(
    parts: Sequence[Part], m: int, nprobe: int, n_candidates: int, limits: Limits
) -> dict[str, float]:
    """Seconds by plan for a query of m tokens; LISTS only where lists find enough documents."""
    blocks = -(-m // TOKENS_PER_BLOCK)
    allowed_tokens = _allowed_tokens(parts)
    result = {
        EXACT: allowed_tokens * SCORE_TOKEN * blocks,
        INTERACTION: allowed_tokens * INTERACT_CODE * blocks,
    }
    listed = [part for part in parts if part.n_lists]
    if not listed:
        return result
    documents = sum(part.documents for part in listed)
    cost, found, found_allowed = 0.0, 0.0, 0.0
    for part in parts:
        if not part.n_lists:
            cost += part.allowed_tokens * INTERACT_CODE * blocks
            continue
        postings = m * nprobe * part.tokens * POSTINGS_PER_TOKEN / part.n_lists
        cost += m * nprobe * READ_LIST + postings * GATHER_POSTING
        likely = min(postings / 2, part.documents)
        found += likely
        found_allowed += likely * part.allowed / part.documents
    mean_tokens = sum(part.tokens for part in listed) / documents
    cost += INTERACTED * n_candidates * mean_tokens * INTERACT_CODE * blocks
    least = limits.list_surplus * n_candidates
    if found < least <= documents:
        # The caller's nprobe finds too few documents even without a filter. Then half of the found
        # documents must be allowed.
        least = found / 2
    if found_allowed >= least:
        result[LISTS] = limits.list_cost * cost
    return result


def begins_fast(parts: Sequence[Part], n_centroids: int) -> bool:
    """Whether the exact plan begins with fast scores, which need the table of centroid scores. Few
    tokens get precise scores sooner than the table is made: their cost depends on nothing else."""
    return ROWS_PER_TOKEN * _allowed_tokens(parts) > n_centroids


def near_groups(plan: str, nprobe: int) -> int:
    """Groups of centroids whose scores a plan takes, per query token, of a large codec; 0: all."""
    if plan == EXACT:
        return 0
    return GROUPS_SCANNED if plan == INTERACTION else GROUPS_LISTED + nprobe // LISTS_PER_GROUP


def choose(
    estimates: dict[str, float],
    parts: Sequence[Part],
    n_allowed: int,
    n_candidates: int,
    *,
    asked: bool,
) -> str:
    """The plan: exact, if no more documents are allowed than candidates and these have few tokens
    or the caller `asked` for so many candidates; else the cheaper one of the others."""
    few = _allowed_tokens(parts) <= FEW_TOKENS
    if n_allowed <= n_candidates and (few or asked):
        return EXACT
    return min((plan for plan in estimates if plan != EXACT), key=lambda plan: estimates[plan])
