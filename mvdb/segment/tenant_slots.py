"""The documents of each tenant in one segment, from the keys of their ids. Immutable.

Nothing is stored beside the keys, so nothing can disagree with them: the document of a slot is
shown to the tenant whose number its key begins with, and to no other.

1. The numbers are gathered from the keys, by slot.
2. The slots are sorted by number, ascending within a tenant: by the lower 16 bits, then by the
   upper ones, as numpy sorts 16-bit integers by radix, in linear time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.documents.ids import PREFIX_BYTES, TENANT
from mvdb.storage.invariants import require


class TenantSlots:
    """Slots by tenant: 4 bytes for each document, 8 for each tenant of the segment.

    numbers: uint32 (t,), the tenants, ascending."""

    def __init__(
        self,
        offsets: NDArray[np.uint32],
        keys: memoryview,
        order: core.Numbers | None,
        where: str,
    ) -> None:
        """offsets: of the keys, by row. order: the row in each slot; None: slots are rows.
        CorruptionError for a key without a tenant."""
        by_slot = _numbers(offsets, keys, where)
        if order is not None:
            by_slot = by_slot[order]
        low, high = by_slot.astype(np.uint16), (by_slot >> 16).astype(np.uint16)
        slots = np.argsort(low, kind="stable")
        if high.any():
            slots = slots[np.argsort(high[slots], kind="stable")]
        in_order = by_slot[slots]
        firsts = np.flatnonzero(np.diff(in_order)) + 1
        self._starts = np.concatenate([[0], firsts, [len(slots)]]).astype(np.uint32)
        self.numbers = in_order[self._starts[:-1]]
        self._slots = slots.astype(np.uint32)

    def of(self, number: int) -> core.Numbers:
        """The slots of a tenant's documents, ascending."""
        at = int(np.searchsorted(self.numbers, np.uint32(number)))
        if at == len(self.numbers) or int(self.numbers[at]) != number:
            return self._slots[:0]
        return self._slots[self._starts[at] : self._starts[at + 1]]

    def counts(self, is_live: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Documents of each of `numbers`. is_live: by slot, those that count; None: all."""
        starts = self._starts.astype(np.int64)
        if is_live is None:
            return np.diff(starts)
        before = np.concatenate([[0], np.cumsum(is_live[self._slots])])
        counts: NDArray[np.int64] = np.diff(before[starts])
        return counts


def _numbers(offsets: NDArray[np.uint32], keys: memoryview, where: str) -> NDArray[np.uint32]:
    """The number of each row's tenant."""
    firsts = offsets[:-1].astype(np.int64)
    raw = np.frombuffer(keys, np.uint8)
    has_tenant = bool((np.diff(offsets.astype(np.int64)) > PREFIX_BYTES).all())
    require(has_tenant and bool((raw[firsts] == TENANT).all()), where, "an id without a tenant")
    numbers = np.zeros(len(firsts), np.uint32)
    for at in range(1, PREFIX_BYTES):
        numbers = numbers << np.uint32(8) | raw[firsts + at]
    return numbers
