"""The documents of a state that a search may return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvdb import core
from mvdb.state.tombstones import Live
from mvdb.threads.cached import cached

Chosen = Live | core.Numbers | None
"""Documents of a segment: a mask by slot; or their slots, uint32, ascending; or None for all."""


class Allowed:
    """Documents per segment. Immutable. What is asked of a segment whose slots are listed costs
    as much as there are slots, whatever the segment's size; masks are made where a plan needs them.

    counts: documents allowed, per segment. total: in all."""

    def __init__(self, sizes: Sequence[int], chosen: Sequence[Chosen]) -> None:
        """sizes: documents of each segment."""
        self._sizes = sizes
        self._chosen = chosen
        self.counts = [_count(*one) for one in zip(sizes, chosen, strict=True)]
        self.total = sum(self.counts)

    @cached
    def bitmaps(self) -> core.Bitmaps:
        """The masks as the core reads them, a bit for each slot."""
        return core.Bitmaps([self.mask(index) for index in range(len(self._sizes))])

    def mask(self, segment: int) -> Live | None:
        """The documents of a segment as a mask by slot; None for all."""
        chosen = self._chosen[segment]
        if chosen is None or _is_mask(chosen):
            return chosen  # type: ignore[return-value]
        mask = np.zeros(self._sizes[segment], np.bool_)
        mask[chosen] = True
        return mask

    def slots(self, segment: int) -> core.Numbers:
        """The slots of allowed documents of a segment, ascending."""
        chosen = self._chosen[segment]
        if chosen is None:
            return np.arange(self._sizes[segment], dtype=np.uint32)
        if _is_mask(chosen):
            return np.flatnonzero(chosen).astype(np.uint32)
        return chosen  # type: ignore[return-value]

    def restricted(self, others: Sequence[Chosen]) -> Allowed:
        """The documents that are also among these."""
        return Allowed(self._sizes, list(map(_both, self._chosen, others)))

    def without(self, segment: int, slot: int) -> Allowed:
        """All documents but one."""
        chosen = list(self._chosen)
        own = self._chosen[segment]
        if own is None or _is_mask(own):
            mask = np.ones(self._sizes[segment], np.bool_) if own is None else own.copy()
            mask[slot] = False
            chosen[segment] = mask
        else:
            chosen[segment] = own[own != slot]
        return Allowed(self._sizes, chosen)


def _is_mask(chosen: Live | core.Numbers) -> bool:
    return chosen.dtype == np.bool_


def _count(size: int, chosen: Chosen) -> int:
    if chosen is None:
        return size
    return int(np.count_nonzero(chosen)) if _is_mask(chosen) else len(chosen)


def _both(one: Chosen, other: Chosen) -> Chosen:
    if one is None or other is None:
        return other if one is None else one
    if _is_mask(other):
        one, other = other, one
    if not _is_mask(one):
        return np.intersect1d(one, other, assume_unique=True).astype(np.uint32)
    return one & other if _is_mask(other) else other[one[other]]
