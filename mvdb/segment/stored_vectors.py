"""The vectors of one segment, opened: codes, records and posting lists, by slot.

1. Opening finds the values. It reads codes that have a part of their own, and verifies them.
2. Records are verified by document, before the first use of each (`check`).
3. Posting lists are verified by block, before the first use of each (`Lists.check`).

Immutable but for the marks of verified records and blocks; threads may at worst verify the same
ones twice. Views keep their buffers alive, not the mapped file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.segment.layout import Directory, Part, Slot
from mvdb.segment.posting_lists import Lists
from mvdb.segment.segment_parts import SegmentParts
from mvdb.storage import envelope
from mvdb.storage.invariants import require
from mvdb.storage.values import Values


class StoredVectors:
    """Codes, records and posting lists of a segment.

    view: the segment as the core reads it. lists: its posting lists, or None."""

    def __init__(
        self,
        txn: Values,
        parts: SegmentParts,
        directory: Directory,
        codec: core.Codec | None,
        n_centroids: int,
        dim: int,
        has_inline_codes: bool,
        checked: core.Bytes,
        order: core.Numbers | None,
    ) -> None:
        """n_centroids: those when the segment was encoded, which `codec` may extend. checked: by
        slot, the marks of the records verified so far, else 0; written to. order: see `Segment`."""
        self._parts = parts
        self.directory = directory
        self._dim = dim
        self._checked = checked
        self._order = order
        self.codec = codec
        self.code_bytes = core.code_bytes(n_centroids) if codec else 0
        n_chunks = len(directory.chunks) - 1
        self._records = parts.extents(txn, Part.RECORDS, n_chunks)
        self._inline_bytes = self.code_bytes if has_inline_codes else 0
        n_codes = 0 if codec is None or has_inline_codes else n_chunks
        self._codes = [parts.body(txn, Part.CODES, index) for index in range(n_codes)]
        self._record_bytes = self._inline_bytes + (
            codec.token_bytes if codec else core.token_bytes(dim, 16)
        )
        self.lists = self._open_lists(txn, n_centroids)
        self.view = core.SegmentView(
            codec,
            self.code_bytes,
            dim,
            directory.starts,
            directory.chunks,
            self._codes,
            self._records.bodies,
            checked,
            None if self.lists is None else self.lists.view,
        )
        for codes in self._codes:
            assert codec is not None
            core.check_codes(codec, self.code_bytes, codes)
        self.is_checked = bool(checked.all())
        """Whether the records of all documents have been verified."""

    def __len__(self) -> int:
        return len(self._checked)

    def _open_lists(self, txn: Values, n_centroids: int) -> Lists | None:
        if not self._parts.has(txn, Part.LIST_DIRECTORY):
            return None
        where = self._parts.where(Part.LISTS)
        lists = Lists(
            self._parts.body(txn, Part.LIST_DIRECTORY),
            lambda count: self._parts.extents(txn, Part.LISTS, count),
            where,
        )
        n_lists = lists.view.n_lists
        fits = self.codec is not None and n_lists == n_centroids
        require(fits, where, f"{n_lists} lists for {n_centroids} centroids")
        return lists

    def unchecked(self, slots: core.Numbers) -> NDArray[np.bool_]:
        """For each slot whether its record has not been verified since opening."""
        unchecked: NDArray[np.bool_] = self._checked[slots] == 0
        return unchecked

    def check(self, slots: core.Numbers) -> None:
        """Verifies the records in slots that have not been verified since opening."""
        unchecked = np.sort(slots[self.unchecked(slots)])  # as they arrive from the file
        if len(unchecked) == 0:
            return
        directory, size = self.directory, self._record_bytes
        chunks = np.searchsorted(directory.chunks, unchecked, side="right") - 1
        origins = directory.starts[directory.chunks[chunks]].astype(np.int64)
        spans = zip(
            chunks.tolist(),
            ((directory.starts[unchecked] - origins) * size).tolist(),
            ((directory.starts[unchecked + 1] - origins) * size).tolist(),
            directory.checksums[unchecked].tolist(),
            strict=True,
        )
        self._records.open(chunks)
        records, checksum = self._records.bodies, envelope.checksum
        for at, (chunk, first, last, expected) in enumerate(spans):
            if checksum(records[chunk][first:last]) != expected:
                slot = unchecked[at]
                number = directory.numbers[slot if self._order is None else self._order[slot]]
                raise CorruptionError(
                    f"segment {self._parts.segment}: the vectors of document number {number} are "
                    "damaged (checksum mismatch)"
                )
        self._checked[unchecked] = self.view.check_documents(unchecked)
        # The last slot first: a visit of all slots in order verifies that one last.
        self.is_checked = bool(self._checked[-1]) and bool(self._checked.all())

    def record_bytes(self, slot: Slot) -> int:
        """Bytes of the record in a slot."""
        return self.directory.n_tokens(slot) * self._record_bytes

    def stored(self, slot: Slot) -> tuple[memoryview, memoryview, int]:
        """Codes, record without codes, and number of tokens in a slot, verified."""
        if not self._checked[slot]:
            self.check(np.array([slot], np.uint32))
        directory, width = self.directory, self.code_bytes
        n = directory.n_tokens(slot)
        chunk = int(np.searchsorted(directory.chunks, slot, side="right")) - 1
        first = int(directory.starts[slot]) - int(directory.starts[directory.chunks[chunk]])
        size = self._record_bytes
        record = self._records.bodies[chunk][first * size : (first + n) * size]
        if self._inline_bytes:
            return record[: n * width], record[n * width :], n
        codes = self._codes[chunk] if self._codes else memoryview(b"")
        return codes[first * width : (first + n) * width], record, n

    def decoded(self, slot: Slot) -> core.Floats:
        """Reconstructed vectors (n_tokens, dim) in a slot."""
        codes, record, n = self.stored(slot)
        if self.codec is None:
            return np.frombuffer(record, "<f2").astype(np.float32).reshape(-1, self._dim)
        return self.codec.decode(codes, self.code_bytes, record, n)

    def points(self) -> core.Points:
        """The mean of the centroids of each slot's tokens, as int8 points (n, padded)."""
        self.check(np.arange(len(self), dtype=np.uint32))
        return self.view.document_points()
