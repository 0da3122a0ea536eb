"""Which segments to merge: levels, as in a log-structured merge tree.

A segment's level is the number of times `FANOUT` fits between its size and `BASE_TOKENS`. When
`FANOUT` neighbours of a level or below have come together they become one segment, so a document is
copied once per level: O(log collection), not once per commit. Only neighbours are merged, so that
segments stay ordered by document number.
"""

from __future__ import annotations

from mvdb.index.manifest import Manifest, SegmentInfo

FANOUT = 8
BASE_TOKENS = 4096
COMMIT_TOKENS = 1 << 20
"""Most tokens that one commit copies for merging; larger merges wait for `optimize`."""
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


def plan(manifest: Manifest) -> list[int] | None:
    """Indexes of neighbouring segments to merge now, within the budget of a commit; None: nothing
    is due."""
    segments = manifest.segments
    for i, info in enumerate(segments):
        if info.deleted_tokens > DELETED_SHARE * info.n_tokens and (
            info.live_tokens <= COMMIT_TOKENS
        ):
            return [i]
    levels = [_level(info) for info in segments]
    for level in sorted(set(levels)):
        run: list[int] = []
        for i in range(len(segments) + 1):
            extends = (
                i < len(segments)
                and levels[i] <= level
                and (not run or segments[i].generation == segments[run[0]].generation)
            )
            if extends:
                run.append(i)
                continue
            if len(run) >= FANOUT and _tokens(segments, run) <= COMMIT_TOKENS:
                return run
            run = [i] if i < len(segments) and levels[i] <= level else []
    return None


def _tokens(segments: tuple[SegmentInfo, ...], run: list[int]) -> int:
    return sum(segments[i].live_tokens for i in run)
