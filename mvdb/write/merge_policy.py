"""Which segments to merge: levels, as in a log-structured merge tree.

1. A segment's level is the number of times that its live tokens can be divided by `fanout` before
   they are fewer than `base_tokens`.
2. A segment with more than DELETED_SHARE of deleted tokens is rewritten alone.
3. Else `fanout` or more neighbours of a level or below become one segment, lowest level first. A
   document is copied once per level: O(log collection) times, not once per commit.

Only neighbours are merged: segments stay in the order of document numbers. Only segments of the
current codebook or of those that it extends are merged: their codes stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from mvdb.limits import Limits
from mvdb.segment.layout import SegmentInfo
from mvdb.state.manifest import Manifest

DELETED_SHARE = 0.5

Policy = Callable[[Manifest, Container[int], Limits], "list[int] | None"]
"""Indexes of the segments to merge now; None: nothing is due. The container has the numbers of the
codebooks whose segments may be merged."""


def due(
    manifest: Manifest, codebooks: Container[int], limits: Limits, budget: int | None = None
) -> list[int] | None:
    """A `Policy`: the levels. `budget`: most live tokens of the merge; None: `max_tokens`."""
    segments = manifest.segments
    budget = limits.max_tokens if budget is None else budget
    may = [info.generation in codebooks for info in segments]
    for i, info in enumerate(segments):
        is_sparse = info.deleted_tokens > DELETED_SHARE * info.n_tokens
        if may[i] and is_sparse and info.live_tokens <= budget:
            return [i]
    levels = [_level(info, limits) for info in segments]
    for level in sorted(set(levels)):
        run: list[int] = []
        for i in range(len(segments) + 1):
            if i < len(segments) and may[i] and levels[i] <= level:
                run.append(i)
                continue
            if len(run) >= limits.fanout and _live_tokens(segments, run) <= budget:
                return run
            run = []
    return None


def _level(info: SegmentInfo, limits: Limits) -> int:
    size, level = info.live_tokens, 0
    while size >= limits.base_tokens:
        size //= limits.fanout
        level += 1
    return level


def _live_tokens(segments: Sequence[SegmentInfo], run: list[int]) -> int:
    return sum(segments[i].live_tokens for i in run)


def fewest(manifest: Manifest, codebooks: Container[int], limits: Limits) -> list[int] | None:
    """A `Policy` for the fewest segments: neighbours that fit into one segment, and segments with
    deleted documents."""
    segments = manifest.segments
    first = 0
    while first < len(segments):
        last, tokens = first, 0
        while last < len(segments) and segments[last].generation in codebooks:
            tokens += segments[last].live_tokens
            if last > first and tokens > limits.max_tokens:
                break
            last += 1
        if last > first + 1 or (last > first and segments[first].n_deleted):
            return list(range(first, last))
        first = max(last, first + 1)
    return None


def fewest_of(then: Manifest) -> Policy:
    """`fewest` for the segments of an earlier manifest. Later insertions and deletions are left for
    the next call: else a steady writer would keep it from ending."""

    def policy(current: Manifest, codebooks: Container[int], limits: Limits) -> list[int] | None:
        # Segments are in the order of document numbers, so these are the first ones.
        old = tuple(
            replace(info, n_deleted=0) if info.id >= then.next_segment else info
            for info in current.segments
            if info.last < then.next_document
        )
        return fewest(replace(current, segments=old), codebooks, limits)

    return policy
