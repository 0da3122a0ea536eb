"""The documents of a state that a search may return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvdb import core
from mvdb.state.tombstones import Live


class Allowed:
    """Per segment a mask by slot, or None for all documents. Immutable.

    counts: documents allowed, per segment. total: in all. bitmaps: the masks as the core reads
    them, a bit for each slot."""

    def __init__(self, sizes: Sequence[int], masks: Sequence[Live | None]) -> None:
        """sizes: documents of each segment."""
        self.masks = masks
        self._sizes = sizes
        self.counts = [
            size if mask is None else int(np.count_nonzero(mask))
            for size, mask in zip(sizes, masks, strict=True)
        ]
        self.total = sum(self.counts)
        self.bitmaps = core.Bitmaps(masks)

    def restricted(self, masks: Sequence[Live]) -> Allowed:
        """The documents that are also in these masks by slot."""
        pairs = zip(self.masks, masks, strict=True)
        both = [other if mask is None else mask & other for mask, other in pairs]
        return Allowed(self._sizes, both)

    def slots(self, segment: int) -> core.Numbers:
        """The slots of allowed documents of a segment, ascending."""
        mask = self.masks[segment]
        slots = np.arange(self._sizes[segment]) if mask is None else np.flatnonzero(mask)
        return slots.astype(np.uint32)
