"""The values of one segment, each verified when it is read.

Large values stay in the mapped file; values that fit a page are copied, because LMDB moves small
values when it rewrites the page they share. REQUIRES of every transaction: it sees
the segment. Views are valid in each such transaction of the environment until its map moves.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.segment.layout import KINDS, TABLE, Part, part_key
from mvdb.storage import envelope
from mvdb.storage.values import Values

LARGEST_PAGE = 1 << 16
"""Values at least this long never share a page, whatever the page size."""
_SMALL = (Part.DOCUMENTS, Part.FIELDS)
"""Parts of many values, of which a call reads some."""


class Extents:
    """The values of a part whose contents have checksums of their own, found but not yet read."""

    def __init__(self, parts: SegmentParts, part: Part, values: list[memoryview]) -> None:
        self._parts = parts
        self._part = part
        self._values = values
        self._is_open = np.zeros(len(values), bool)
        for index, value in enumerate(values):
            if len(value) < envelope.HEADER_BYTES:
                raise CorruptionError(f"{parts.where(part, index)}: {len(value)} bytes")
        self.bodies = [value[envelope.HEADER_BYTES :] for value in values]
        """REQUIRES before one is read: `open`."""

    def open(self, indexes: NDArray[np.integer]) -> None:
        """Checks the envelopes of these values, once each."""
        for index in np.unique(indexes[~self._is_open[indexes]]).tolist():
            self._parts.unseal(self._part, index, self._values[index])
            self._is_open[index] = True


class SegmentParts:
    """Reads the parts of one segment. A `volatile` segment was written by the open transaction
    itself, so LMDB may move all of its pages: everything is copied."""

    def __init__(self, segment: int, scope: bytes, *, volatile: bool = False) -> None:
        """scope: see `Values`."""
        self.segment = segment
        self._scope = scope
        self._copy_below = sys.maxsize if volatile else LARGEST_PAGE

    def where(self, part: Part, index: int = 0) -> str:
        """The name of a value in messages."""
        return f"segment {self.segment}, {part.name.lower()} {index}"

    def has(self, txn: Values, part: Part) -> bool:
        """Whether there is a value 0 of a part."""
        return txn.get(TABLE, part_key(self.segment, part)) is not None

    def body(self, txn: Values, part: Part, index: int = 0) -> memoryview:
        """The body of one value; CorruptionError when it is missing or damaged."""
        get = txn.get if part in _SMALL else txn.whole
        value = get(TABLE, part_key(self.segment, part, index))
        return self.unseal(part, index, self._held(value, part, index))

    def size(self, txn: Values, part: Part, index: int) -> int:
        """Bytes of the body of one value, which is not verified."""
        value = txn.get(TABLE, part_key(self.segment, part, index))
        return len(value or b"") - envelope.HEADER_BYTES

    def extents(self, txn: Values, part: Part, count: int) -> Extents:
        """All values of a part that has checksums inside."""
        values = txn.values(TABLE, [part_key(self.segment, part, i) for i in range(count)])
        return Extents(self, part, [self._held(value, part, i) for i, value in enumerate(values)])

    def unseal(self, part: Part, index: int, value: memoryview) -> memoryview:
        """The body of a value after checking its envelope."""
        key = self._scope + part_key(self.segment, part, index)
        return envelope.unseal(KINDS[part], key, value, self.where(part, index))

    def _held(self, value: memoryview | None, part: Part, index: int) -> memoryview:
        if value is None:
            raise CorruptionError(f"{self.where(part, index)}: missing")
        return memoryview(bytes(value)) if len(value) < self._copy_below else value
