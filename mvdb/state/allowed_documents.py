"""Which documents a search may return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvdb import core
from mvdb.segment.segment import Segment
from mvdb.state.tombstones import Live


class Allowed:
    """Which documents of a state a search may return.

    masks: per segment, by slot, or None for all. counts: documents allowed, per segment."""

    def __init__(self, segments: Sequence[Segment], rows: Sequence[Live | None]) -> None:
        """`rows`: per segment a mask by row, or None for all."""
        self.masks: list[Live | None] = []
        for segment, mask in zip(segments, rows, strict=True):
            in_order = mask is None or segment.order is None
            self.masks.append(mask if in_order else mask[segment.order])  # type: ignore[index]
        self.counts = [
            len(segment) if mask is None else int(np.count_nonzero(mask))
            for segment, mask in zip(segments, self.masks, strict=True)
        ]
        self.bitmaps = core.Bitmaps(self.masks)

    @property
    def total(self) -> int:
        """Documents allowed."""
        return sum(self.counts)
