"""Which segments to merge: levels, as in a log-structured merge tree.

A segment's level is the number of times `FANOUT` fits between its size and `BASE_TOKENS`. When
`FANOUT` neighbours of a level or below have come together they become one segment, so a document is
copied once per level: O(log collection), not once per commit. Only neighbours are merged, so that
segments stay ordered by document number.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from mvdb.segment.layout import SegmentInfo
from mvdb.state.manifest import Manifest

FANOUT = 8
BASE_TOKENS = 4096
COMMIT_TOKENS = 1 << 18
"""Most tokens that one commit copies for merging; larger merges are done in steps of their own."""
MAX_TOKENS = 1 << 27
"""Tokens of a segment at most: about 4.5 GB at 2 bits and 128 dimensions."""
LISTED_TOKENS = 1 << 20
"""Segments from this size on have inverted lists; the codes of smaller ones are all looked at."""
DELETED_SHARE = 0.5
"""A segment with a larger share of deleted tokens is rewritten alone."""


def _level(info: SegmentInfo) -> int:
    size, level = info.live_tokens, 0
    while size >= BASE_TOKENS:
        size //= FANOUT
        level += 1
    return level


Plan = Callable[[Manifest, Container[int], "int | None"], "list[int] | None"]


def plan(manifest: Manifest, members: Container[int], budget: int | None) -> list[int] | None:
    """Indexes of neighbouring segments to merge now, of at most `budget` tokens (None: as many as a
    segment may have); None: nothing is due. Only segments of the generations `members`, whose
    codes the current centroids understand."""
    segments = manifest.segments
    budget = MAX_TOKENS if budget is None else budget
    may = [info.generation in members for info in segments]
    for i, info in enumerate(segments):
        is_sparse = info.deleted_tokens > DELETED_SHARE * info.n_tokens
        if may[i] and is_sparse and info.live_tokens <= budget:
            return [i]
    levels = [_level(info) for info in segments]
    for level in sorted(set(levels)):
        run: list[int] = []
        for i in range(len(segments) + 1):
            if i < len(segments) and may[i] and levels[i] <= level:
                run.append(i)
                continue
            if len(run) >= FANOUT and _tokens(segments, run) <= budget:
                return run
            run = []
    return None


def everything(manifest: Manifest, members: Container[int], budget: int | None) -> list[int] | None:
    """The same for the fewest segments: neighbours that fit into one, and whatever has deleted
    documents."""
    segments = manifest.segments
    budget = MAX_TOKENS if budget is None else budget
    first = 0
    while first < len(segments):
        last, tokens = first, 0
        while last < len(segments) and segments[last].generation in members:
            tokens += segments[last].live_tokens
            if last > first and tokens > budget:
                break
            last += 1
        if last > first + 1 or (last > first and segments[first].n_deleted):
            return list(range(first, last))
        first = max(last, first + 1)
    return None


def _tokens(segments: tuple[SegmentInfo, ...], run: list[int]) -> int:
    return sum(segments[i].live_tokens for i in run)
