"""Which segments to merge: levels, as in a log-structured merge tree.

A segment's level is the number of times `FANOUT` fits between its size and `BASE_TOKENS`. When
`FANOUT` neighbours of a level or below have come together they become one segment, so a document is
copied once per level: O(log collection), not once per commit. Only neighbours are merged, so that
segments stay ordered by document number.
"""

from __future__ import annotations

from collections.abc import Callable

from mvdb.index.manifest import FLOAT16, Manifest, SegmentInfo

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


Plan = Callable[[Manifest, "int | None"], "list[int] | None"]


def plan(manifest: Manifest, budget: int | None) -> list[int] | None:
    """Indexes of neighbouring segments to merge now, of at most `budget` tokens (None: as many as a
    segment may have); None: nothing is due."""
    segments = manifest.segments
    budget = MAX_TOKENS if budget is None else budget
    for i, info in enumerate(segments):
        if info.deleted_tokens > DELETED_SHARE * info.n_tokens and info.live_tokens <= budget:
            return [i]
    levels = [_level(info) for info in segments]
    for level in sorted(set(levels)):
        run: list[int] = []
        for i in range(len(segments) + 1):
            extends = (
                i < len(segments)
                and levels[i] <= level
                and (not run or _is_quantised(segments[i]) == _is_quantised(segments[run[0]]))
            )
            if extends:
                run.append(i)
                continue
            if len(run) >= FANOUT and _tokens(segments, run) <= budget:
                return run
            run = [i] if i < len(segments) and levels[i] <= level else []
    return None


def everything(manifest: Manifest, budget: int | None) -> list[int] | None:
    """The same for the fewest segments: neighbours that fit into one, and whatever has deleted
    documents."""
    segments = manifest.segments
    budget = MAX_TOKENS if budget is None else budget
    first = 0
    while first < len(segments):
        last = first + 1
        while last < len(segments) and (
            _is_quantised(segments[last]) == _is_quantised(segments[first])
            and _tokens(segments, list(range(first, last + 1))) <= budget
        ):
            last += 1
        if last > first + 1 or segments[first].n_deleted:
            return list(range(first, last))
        first = last
    return None


def _is_quantised(info: SegmentInfo) -> bool:
    return info.generation != FLOAT16


def _tokens(segments: tuple[SegmentInfo, ...], run: list[int]) -> int:
    return sum(segments[i].live_tokens for i in run)
