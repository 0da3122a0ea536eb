"""Which way to answer a query: through lists or by all codes, whichever is estimated to cost less,
or by scoring everything, where no more is allowed than would be scored anyway.

The constants are seconds on one core of a current server for a query of up to 32 tokens; only their
ratios matter. `bench/search.py` prints what the stages really take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvdb.segment.segment import Segment

EXACT = "exact"
INTERACTION = "interaction"
LISTS = "lists"

_SCORE_TOKEN = 9e-9
_INTERACT_CODE = 0.35e-9
_READ_LIST = 80e-9
_GATHER_POSTING = 2.5e-9
_POSTINGS_PER_TOKEN = 0.7
"""A document is in a list once however many of its tokens have the code."""
_ENOUGH = 4.0
"""Lists must find this many times the allowed documents that are to be looked at, or they decide
too much. Where so few are read that they would find fewer without a filter too, that is the
caller's choice: then half of what they find must be allowed."""


@dataclass(frozen=True)
class Part:
    """What the estimate knows of a segment: whether it has lists, its documents and tokens, and how
    many of them are allowed."""

    has_lists: bool
    n_lists: int
    documents: int
    tokens: int
    allowed: int


def parts_of(segments: Sequence[Segment], counts: Sequence[int]) -> list[Part]:
    """The estimate's view of quantised segments, of which `counts` documents are allowed."""
    return [
        Part(
            segment.lists is not None,
            0 if segment.lists is None else segment.lists.view.n_lists,
            len(segment),
            int(segment.directory.starts[-1]),
            count,
        )
        for segment, count in zip(segments, counts, strict=True)
        if segment.codec is not None
    ]


def costs(parts: Sequence[Part], m: int, nprobe: int, wanted: int) -> dict[str, float]:
    """Seconds by plan for a query of m tokens; LISTS only where lists find enough."""
    blocks = -(-m // 32)
    allowed_tokens = sum(_allowed_tokens(part) for part in parts)
    result = {
        EXACT: allowed_tokens * _SCORE_TOKEN * blocks,
        INTERACTION: allowed_tokens * _INTERACT_CODE * blocks,
    }
    listed = [part for part in parts if part.has_lists]
    if not listed:
        return result
    cost, found, found_allowed = 0.0, 0.0, 0.0
    for part in parts:
        if not part.has_lists:
            cost += _allowed_tokens(part) * _INTERACT_CODE * blocks
            continue
        postings = m * nprobe * part.tokens * _POSTINGS_PER_TOKEN / part.n_lists
        cost += m * nprobe * _READ_LIST + postings * _GATHER_POSTING
        likely = min(postings / 2, part.documents)
        found += likely
        found_allowed += likely * part.allowed / part.documents
    mean_tokens = sum(part.tokens for part in listed) / sum(part.documents for part in listed)
    cost += wanted * mean_tokens * _INTERACT_CODE * blocks
    least = _ENOUGH * wanted
    if found < least <= sum(part.documents for part in listed):
        least = found / 2
    if found_allowed >= least:
        result[LISTS] = cost
    return result


def _allowed_tokens(part: Part) -> float:
    return part.tokens * part.allowed / part.documents


def choose(estimates: dict[str, float], n_allowed: int, wanted: int) -> str:
    """The plan: everything is scored when it is no more than would be scored anyway."""
    if n_allowed <= wanted:
        return EXACT
    return min((plan for plan in estimates if plan != EXACT), key=lambda plan: estimates[plan])
