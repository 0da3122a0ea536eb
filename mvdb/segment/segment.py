"""Reading of segments.

A `Segment` is opened once for each environment and shared by the states that contain it: what it
reads is immutable. Large values are used where they lie in the mapped file; values that fit a page
are copied, because LMDB moves small values when it rewrites the page they share.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.documents import metadata, texts
from mvdb.documents.value_allowance import Allowance
from mvdb.errors import CorruptionError
from mvdb.filters.columns import Columns
from mvdb.segment.layout import (
    KINDS,
    TABLE,
    Directory,
    Part,
    SegmentInfo,
    part_key,
    unpack_directory,
)
from mvdb.segment.posting_lists import Lists
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction
from mvdb.storage.format import Kind
from mvdb.storage.invariants import require

LARGEST_PAGE = 1 << 16
"""Values at least this long never share a page, whatever the page size."""


class Extents:
    """The values of a part whose contents have checksums of their own. They are not read when they
    are found; the envelope of each is checked before its first use."""

    def __init__(
        self,
        kind: Kind,
        keys: list[bytes],
        values: list[memoryview],
        where: Callable[[int], str],
    ) -> None:
        self._kind = kind
        self._keys = keys
        self._values = values
        self._where = where
        self._is_open = np.zeros(len(values), bool)
        for index, value in enumerate(values):
            if len(value) < envelope.HEADER_BYTES:
                raise CorruptionError(f"{where(index)}: {len(value)} bytes")
        self.bodies = [value[envelope.HEADER_BYTES :] for value in values]
        """Not to be read before `open`."""

    def open(self, indexes: NDArray[np.integer]) -> None:
        """Checks the envelopes of these values, once each."""
        for index in np.unique(indexes[~self._is_open[indexes]]).tolist():
            key, value = self._keys[index], self._values[index]
            envelope.unseal(self._kind, key, value, self._where(index))
            self._is_open[index] = True


def _check_entry(directory: Directory, info: SegmentInfo) -> None:
    """A segment's directory, with its entry in the manifest."""
    numbers = directory.numbers
    found = (len(numbers), int(directory.starts[-1]), int(numbers[0]), int(numbers[-1]))
    expected = (info.n_documents, info.n_tokens, info.first, info.last)
    require(found == expected, f"segment {info.id}", "directory and manifest disagree")


class Segment:
    """The parts of one segment, each read and verified at first use.

    Methods that take a transaction need one that sees this segment; the views they keep are valid
    in every such transaction of the same environment until its map moves. A `volatile` segment was
    written by the open transaction itself: everything of it is copied. `n_centroids` are those of
    the codec that the segment was encoded with; `codec` may extend that one."""

    def __init__(
        self,
        txn: ReadTransaction,
        info: SegmentInfo,
        codec: core.Codec | None,
        n_centroids: int,
        dim: int,
        *,
        volatile: bool = False,
    ) -> None:
        self.id = info.id
        self._n_centroids = n_centroids
        self.codec = codec
        self.dim = dim
        self._copy_below = sys.maxsize if volatile else LARGEST_PAGE
        self.token_bytes = codec.token_bytes if codec else core.token_bytes(dim, 16)
        self.code_bytes = core.code_bytes(n_centroids) if codec else 0
        self.directory: Directory = unpack_directory(
            self.part(txn, Part.DIRECTORY), self._where(Part.DIRECTORY)
        )
        _check_entry(self.directory, info)
        self.order = self._load_order(txn)
        """The row in each slot, uint32 (n,); None: slots are in the order of the rows."""
        self._slots: core.Numbers | None = None
        self._ids: tuple[NDArray[np.uint32], memoryview] | None = None
        self._view: core.SegmentView | None = None
        self._codes: list[memoryview] = []
        self._records = Extents(Kind.RECORDS, [], [], str)
        self.lists: Lists | None = None
        """The inverted lists, if there are any; known once `view` has been called."""
        self._checked = np.zeros(len(self), bool)  # by slot
        self.is_checked = False
        """Whether the records of all documents have been verified."""

    def __len__(self) -> int:
        return len(self.directory.numbers)

    @property
    def stored_bytes(self) -> int:
        """Bytes that its documents take in the file, without texts and metadata, at least."""
        return int(self.directory.starts[-1]) * self.token_bytes + 20 * len(self)

    def extended(self, codec: core.Codec) -> Segment:
        """The same segment under a codec that extends its own."""
        other = copy.copy(self)
        other.codec, other._view = codec, None
        return other

    def _load_order(self, txn: ReadTransaction) -> core.Numbers | None:
        if txn.get(TABLE, part_key(self.id, Part.ORDER)) is None:
            return None
        body = self.part(txn, Part.ORDER)
        if len(body) != 4 * len(self):
            raise CorruptionError(f"{self._where(Part.ORDER)}: {len(body)} bytes")
        order = np.frombuffer(body, "<u4").astype(np.uint32)
        seen = np.zeros(len(self), bool)
        seen[order[order < len(self)]] = True
        if not seen.all():
            raise CorruptionError(f"{self._where(Part.ORDER)}: not an order of its documents")
        return order

    def slots(self, rows: NDArray[np.integer]) -> core.Numbers:
        """The slots of documents given by their rows."""
        if self.order is None:
            return rows.astype(np.uint32, copy=False)
        if self._slots is None:
            slots = np.empty(len(self), np.uint32)
            slots[self.order] = np.arange(len(self), dtype=np.uint32)
            self._slots = slots
        found: core.Numbers = self._slots[rows]
        return found

    def slot(self, row: int) -> int:
        """The slot of a document given by its row."""
        return row if self.order is None else int(self.slots(np.array([row]))[0])

    def row(self, slot: int) -> int:
        """The row of the document in a slot."""
        return slot if self.order is None else int(self.order[slot])

    def _where(self, part: Part, index: int = 0) -> str:
        return f"segment {self.id}, {part.name.lower()} {index}"

    def part(
        self, txn: ReadTransaction, part: Part, index: int = 0, *, verified: bool = False
    ) -> memoryview:
        """The body of one value; CorruptionError when it is missing or damaged."""
        key = part_key(self.id, part, index)
        value = self._held(txn.get(TABLE, key), self._where(part, index))
        opener = envelope.peek if verified else envelope.unseal
        return opener(KINDS[part], key, value, self._where(part, index))

    def _held(self, value: memoryview | None, where: str) -> memoryview:
        """A value that stays where it is: copied, if LMDB may move it."""
        if value is None:
            raise CorruptionError(f"{where}: missing")
        return memoryview(bytes(value)) if len(value) < self._copy_below else value

    def _extents(self, txn: ReadTransaction, part: Part, count: int) -> Extents:
        keys = [part_key(self.id, part, index) for index in range(count)]
        values = [
            self._held(value, self._where(part, index))
            for index, value in enumerate(txn.values(TABLE, keys))
        ]
        return Extents(KINDS[part], keys, values, lambda index: self._where(part, index))

    # ---- vectors ----

    def view(self, txn: ReadTransaction) -> core.SegmentView:
        """The segment as the core reads it, in slots. Codes that lie apart are verified here,
        records by `check_records`, lists by `Lists.check`."""
        if self._view is None:
            chunks = range(len(self.directory.chunks) - 1)
            records = self._extents(txn, Part.RECORDS, len(chunks))
            codes = self._codes_apart(txn)
            lists = self._open_lists(txn)
            view = core.SegmentView(
                self.codec,
                self.code_bytes,
                self.dim,
                self.directory.starts,
                self.directory.chunks,
                codes,
                records.bodies,
                None if lists is None else lists.view,
            )
            if self.codec is not None:
                for part in codes:
                    core.check_codes(self.codec, self.code_bytes, part)
            self.lists, self._records, self._codes, self._view = lists, records, codes, view
        return self._view

    def has_inline_codes(self, txn: ReadTransaction) -> bool:
        """Whether records begin with their codes: where codes have no part of their own."""
        return self.codec is not None and (txn.get(TABLE, part_key(self.id, Part.CODES)) is None)

    def _codes_apart(self, txn: ReadTransaction) -> list[memoryview]:
        if self.codec is None or self.has_inline_codes(txn):
            return []
        chunks = range(len(self.directory.chunks) - 1)
        return [self.part(txn, Part.CODES, index) for index in chunks]

    def _open_lists(self, txn: ReadTransaction) -> Lists | None:
        if txn.get(TABLE, part_key(self.id, Part.LIST_DIRECTORY)) is None:
            return None
        lists = Lists(
            self.part(txn, Part.LIST_DIRECTORY),
            lambda count: self._extents(txn, Part.LISTS, count),
            self._where(Part.LISTS),
        )
        n_lists = lists.view.n_lists
        fits = self.codec is not None and n_lists == self._n_centroids
        require(fits, self._where(Part.LISTS), f"{n_lists} lists for {self._n_centroids} centroids")
        return lists

    @property
    def _inline_bytes(self) -> int:
        """Bytes of codes in front of a token's share of a record. `view` has been called."""
        return self.code_bytes if self.codec is not None and not self._codes else 0

    def is_unchecked(self, slots: core.Numbers) -> NDArray[np.bool_]:
        """For each slot whether its record has not been verified since opening."""
        unchecked: NDArray[np.bool_] = ~self._checked[slots]
        return unchecked

    def check_records(self, txn: ReadTransaction, slots: core.Numbers) -> None:
        """Verifies the records in slots that have not been verified since opening."""
        unchecked = slots[self.is_unchecked(slots)]
        if len(unchecked) == 0:
            return
        view = self.view(txn)
        directory = self.directory
        size = self.token_bytes + self._inline_bytes
        chunks = np.searchsorted(directory.chunks, unchecked, side="right") - 1
        origins = directory.starts[directory.chunks[chunks]].astype(np.int64)
        firsts = (directory.starts[unchecked] - origins) * size
        lasts = (directory.starts[unchecked + 1] - origins) * size
        stored = directory.checksums[unchecked]
        self._records.open(chunks)
        records = self._records.bodies
        places = zip(chunks.tolist(), firsts.tolist(), lasts.tolist(), stored.tolist(), strict=True)
        checksum = envelope.checksum
        for at, (chunk, first, last, expected) in enumerate(places):
            if checksum(records[chunk][first:last]) != expected:
                number = int(directory.numbers[self.row(int(unchecked[at]))])
                raise CorruptionError(
                    f"segment {self.id}: the vectors of document number {number} are damaged "
                    "(checksum mismatch)"
                )
        if self._inline_bytes or self.codec is None:
            view.check_documents(unchecked)
        self._checked[unchecked] = True
        # Whoever goes through all slots in order has not looked at the last one before the end.
        self.is_checked = bool(self._checked[-1]) and bool(self._checked.all())

    def check_lists(self) -> None:
        """Verifies all inverted lists. `view` has been called."""
        if self.lists is not None:
            self.lists.check_all()

    def _stored(self, slot: int) -> tuple[memoryview, memoryview]:
        """Codes and record in a slot. `view` has been called."""
        directory = self.directory
        chunk = int(np.searchsorted(directory.chunks, slot, side="right")) - 1
        start = int(directory.starts[slot])
        offset = start - int(directory.starts[directory.chunks[chunk]])
        n = int(directory.starts[slot + 1]) - start
        size = self.token_bytes + self._inline_bytes
        record = self._records.bodies[chunk][offset * size : (offset + n) * size]
        if self._inline_bytes:
            return record[: n * self.code_bytes], record[n * self.code_bytes :]
        if self.codec is None:
            return memoryview(b""), record
        codes = self._codes[chunk][offset * self.code_bytes : (offset + n) * self.code_bytes]
        return codes, record

    def stored_vectors(self, txn: ReadTransaction, slot: int) -> tuple[memoryview, memoryview, int]:
        """Codes, record and number of tokens in a slot that `check_records` has verified."""
        self.view(txn)
        codes, record = self._stored(slot)
        return codes, record, int(self.directory.starts[slot + 1] - self.directory.starts[slot])

    def record_bytes(self, slot: int) -> int:
        """Bytes of the record in a slot. `view` has been called."""
        n = int(self.directory.starts[slot + 1]) - int(self.directory.starts[slot])
        return n * (self.token_bytes + self._inline_bytes)

    def n_tokens(self, row: int) -> int:
        """Tokens of a document."""
        slot = self.slot(row)
        return int(self.directory.starts[slot + 1]) - int(self.directory.starts[slot])

    def lengths(self) -> core.Numbers:
        """Tokens of each document, by row."""
        lengths = np.diff(self.directory.starts)
        return lengths if self.order is None else lengths[self.slots(np.arange(len(self)))]

    def vectors(self, txn: ReadTransaction, row: int) -> core.Floats:
        """Reconstructed vectors (n_tokens, dim) of a document."""
        slot = self.slot(row)
        self.check_records(txn, np.array([slot], np.uint32))
        codes, record = self._stored(slot)
        if self.codec is None:
            return np.frombuffer(record, "<f2").astype(np.float32).reshape(-1, self.dim)
        return self.codec.decode(codes, self.code_bytes, record, self.n_tokens(row))

    # ---- ids, texts, metadata ----

    def key(self, txn: ReadTransaction, row: int) -> bytes:
        """The key of a document's external id."""
        if self._ids is None:
            body = self.part(txn, Part.IDS)
            table = 4 * (len(self) + 1)
            where = self._where(Part.IDS)
            if len(body) < table:
                raise CorruptionError(f"{where}: too short")
            offsets = np.frombuffer(body[:table], "<u4").astype(np.uint32)
            if (
                offsets[0] != 0
                or bool((offsets[1:] <= offsets[:-1]).any())
                or int(offsets[-1]) != len(body) - table
            ):
                raise CorruptionError(f"{where}: offsets out of order")
            self._ids = offsets, body[table:]
        offsets, keys = self._ids
        return bytes(keys[int(offsets[row]) : int(offsets[row + 1])])

    def stored(self, txn: ReadTransaction, row: int) -> texts.Stored:
        """A document's text and metadata, as stored."""
        blocks = self.directory.blocks
        if len(blocks) == 1:
            return None, None
        block = int(np.searchsorted(blocks, row, side="right")) - 1
        return self.block(txn, block)[row - int(blocks[block])]

    def block(self, txn: ReadTransaction, index: int) -> list[texts.Stored]:
        """All documents of a block."""
        blocks = self.directory.blocks
        return texts.unpack(
            self.part(txn, Part.DOCUMENTS, index),
            int(blocks[index + 1] - blocks[index]),
            self._where(Part.DOCUMENTS, index),
        )

    def verify_block(self, txn: ReadTransaction, index: int, allowance: Allowance) -> None:
        """Checks a block, however much it unpacks to."""
        blocks, where = self.directory.blocks, self._where(Part.DOCUMENTS, index)
        body = self.part(txn, Part.DOCUMENTS, index)
        allowance.earn(len(body))
        n_documents = int(blocks[index + 1] - blocks[index])
        texts.verify(body, n_documents, where, lambda values: allowance.spend(values, where))

    def columns(self, txn: ReadTransaction) -> Columns | None:
        """The column index of the metadata, valid within the transaction; None without metadata."""
        if self.directory.n_fields == 0:
            return None
        return Columns(lambda index: self.part(txn, Part.FIELDS, index), len(self))

    def rows_stored(
        self, txn: ReadTransaction, rows: core.Numbers, allowance: Allowance | None = None
    ) -> Iterator[tuple[int, texts.Stored]]:
        """These rows (ascending), each with its text and metadata; every block is unpacked once.
        `allowance`: of a call that goes through all documents, whose metadata it will parse."""
        blocks = self.directory.blocks
        block = -1
        stored: list[texts.Stored] = []
        for row in rows.tolist():
            if len(blocks) == 1:
                yield row, (None, None)
                continue
            if block < 0 or row >= blocks[block + 1]:
                block = int(np.searchsorted(blocks, row, side="right")) - 1
                stored = self.block(txn, block)
                if allowance is not None:
                    self._spend(txn, block, stored, allowance)
            yield row, stored[row - int(blocks[block])]

    def _spend(
        self, txn: ReadTransaction, block: int, stored: list[texts.Stored], allowance: Allowance
    ) -> None:
        allowance.earn(len(self.part(txn, Part.DOCUMENTS, block, verified=True)))
        values = sum(metadata.cost(raw) for _, raw in stored if raw is not None)
        allowance.spend(values, self._where(Part.DOCUMENTS, block))

    # ---- everything, for merging ----

    def points(self, txn: ReadTransaction) -> core.Points:
        """The mean of the centroids of each slot's tokens, as int8 points (n, padded)."""
        everything = np.arange(len(self), dtype=np.uint32)
        self.check_records(txn, everything)
        return self.view(txn).document_points()
