"""Which documents of a state a search may return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvdb import core
from mvdb.segment.segment import Segment
from mvdb.state.tombstones import Live


class Allowed:
    """Immutable. counts: documents allowed, per segment. total: in all. bitmaps: per segment a bit
    for each slot, as the core reads them."""

    def __init__(self, segments: Sequence[Segment], rows: Sequence[Live | None]) -> None:
        """`rows`: per segment a mask by row, or None for all."""
        self._sizes = [len(segment) for segment in segments]
        self._masks = [  # by slot
            mask if mask is None or segment.order is None else mask[segment.order]
            for segment, mask in zip(segments, rows, strict=True)
        ]
        self.counts = [
            size if mask is None else int(np.count_nonzero(mask))
            for size, mask in zip(self._sizes, self._masks, strict=True)
        ]
        self.total = sum(self.counts)
        self.bitmaps = core.Bitmaps(self._masks)

    def slots(self, segment: int) -> core.Numbers:
        """The slots of allowed documents of a segment, ascending."""
        mask = self._masks[segment]
        if mask is None:
            return np.arange(self._sizes[segment], dtype=np.uint32)
        return np.flatnonzero(mask).astype(np.uint32)
