"""Which segments to merge: levels, as in a log-structured merge tree.

1. A segment's level is the number of times that its live tokens can be divided by `fanout` before
   they are fewer than `base_tokens`.
2. A segment with more than DELETED_SHARE of deleted tokens is rewritten alone.
3. Else `fanout` or more neighbours of a level or below become one segment, lowest level first: as
   many as fit into one. A document is copied once per level: O(log collection) times, not once per
   commit.

Only neighbours are merged: segments stay in the order of document numbers. Only segments whose
codes are valid in the present codebook are merged, and only those whose words this process can
merge or index anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter

from mvdb.codebook.codebook import valid_generations
from mvdb.limits import Limits
from mvdb.segment.layout import SegmentInfo
from mvdb.state import lexical_identity
from mvdb.state.lexical_identity import LexicalIdentity
from mvdb.state.manifest import Manifest
from mvdb.storage.environment import ReadTransaction

DELETED_SHARE = 0.5

May = Callable[[SegmentInfo], bool]
"""Whether a segment may be merged."""
Policy = Callable[[Manifest, May, Limits], Sequence[SegmentInfo]]
"""The segments to merge now; empty if no merge is due."""


def next_merge(
    txn: ReadTransaction, manifest: Manifest, limits: Limits, policy: Policy
) -> Sequence[SegmentInfo]:
    """The choice of a policy for a manifest."""
    valid, lexical = valid_generations(txn, manifest.generation), lexical_identity.load(txn)
    can_index = lexical.fault is None

    def may(info: SegmentInfo) -> bool:
        return info.generation in valid and (can_index or lexical.is_current(info))

    return policy(manifest, may, limits)


def due(
    manifest: Manifest, may: May, limits: Limits, budget: int | None = None
) -> Sequence[SegmentInfo]:
    """The policy of commits and of the background. `budget`: most live tokens of the merge; None:
    `max_tokens`."""
    budget = limits.max_tokens if budget is None else budget
    for info in manifest.segments:
        is_sparse = info.deleted_tokens > DELETED_SHARE * info.n_tokens
        if may(info) and is_sparse and info.live_tokens <= budget:
            return [info]
    levels = [_level(info, limits) for info in manifest.segments]
    for level in sorted(set(levels)):
        fits = [
            may(info) and own <= level for info, own in zip(manifest.segments, levels, strict=True)
        ]
        for is_run, group in groupby(zip(fits, manifest.segments, strict=True), itemgetter(0)):
            if is_run and (fitting := _fitting([info for _, info in group], limits, budget)):
                return fitting
    return []


def _fitting(run: list[SegmentInfo], limits: Limits, budget: int) -> Sequence[SegmentInfo]:
    """The first `fanout` or more neighbours of a run of at most `budget` live tokens, as many as
    possible; empty if there are none."""
    first, n_tokens = 0, 0
    for i, info in enumerate(run):
        n_tokens += info.live_tokens
        if n_tokens > budget and i - first >= limits.fanout:
            return run[first:i]
        while n_tokens > budget:
            n_tokens -= run[first].live_tokens
            first += 1
    return run[first:] if len(run) - first >= limits.fanout else []


def _level(info: SegmentInfo, limits: Limits) -> int:
    size, level = info.live_tokens, 0
    while size >= limits.base_tokens:
        size //= limits.fanout
        level += 1
    return level


def fewest_of(then: Manifest, lexical: LexicalIdentity) -> Policy:
    """The policy for the fewest segments: neighbours that fit into one, segments with deleted
    documents, and segments whose words are out of date. Only documents of the earlier manifest
    `then` count: with later ones, a steady writer would keep `optimize` from ending."""

    def is_due(run: list[SegmentInfo]) -> bool:
        has_deleted = any(info.n_deleted and info.id < then.next_segment for info in run)
        return len(run) > 1 or has_deleted or not all(map(lexical.is_current, run))

    def policy(now: Manifest, may: May, limits: Limits) -> Sequence[SegmentInfo]:
        run: list[SegmentInfo] = []
        n_tokens = 0
        for info in now.segments:
            # Segments are in the order of document numbers, so the earlier ones come first.
            fits = info.last < then.next_document and may(info)
            if not fits or n_tokens + info.live_tokens > limits.max_tokens:
                if is_due(run):
                    return run
                run, n_tokens = [], 0
            if fits:
                run.append(info)
                n_tokens += info.live_tokens
        return run if is_due(run) else []

    return policy
