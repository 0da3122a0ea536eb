"""One segment, opened for reading: directory, ids, texts, words, learned weights and metadata by
row; vectors on request.

A `Segment` is opened once per environment and shared by the states and threads that contain it: its
contents are immutable. Each part is read and verified at its first use. REQUIRES of transactions
and of the views kept from them: see segment_parts.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.documents import metadata, texts
from mvdb.documents.value_allowance import Allowance
from mvdb.filters.columns import ColumnIndex, Columns
from mvdb.lexical.term_index import TermIndex
from mvdb.segment.layout import Part, Row, SegmentInfo, Slot, unpack_directory
from mvdb.segment.segment_parts import SegmentParts
from mvdb.segment.segment_writer import EncodedDocument
from mvdb.segment.stored_vectors import StoredVectors
from mvdb.segment.tenant_slots import TenantSlots
from mvdb.segment.weight_writer import StoredWeights
from mvdb.storage.invariants import is_cut, require
from mvdb.storage.values import Values


class Segment:
    """`codec` may extend the codec with `n_centroids` that the segment was encoded with; None:
    float16 vectors. A `volatile` segment was written by the open transaction itself.

    directory: see `layout.Directory`. order: the row in each slot, uint32 (n,); None: slots are in
    the order of rows."""

    def __init__(
        self,
        txn: Values,
        info: SegmentInfo,
        codec: core.Codec | None,
        n_centroids: int,
        dim: int,
        *,
        volatile: bool = False,
    ) -> None:
        self.id = info.id
        self.parts = parts = SegmentParts(info.id, txn.scope, volatile=volatile)
        self._n_centroids = n_centroids
        self.codec = codec
        self.dim = dim
        self.token_bytes = codec.token_bytes if codec else core.token_bytes(dim, 16)
        self.code_bytes = core.code_bytes(n_centroids) if codec else 0
        self.directory = directory = unpack_directory(
            parts.body(txn, Part.DIRECTORY), parts.where(Part.DIRECTORY)
        )
        numbers = directory.numbers
        found = (len(numbers), int(directory.starts[-1]), int(numbers[0]), int(numbers[-1]))
        listed = (info.n_documents, info.n_tokens, info.first, info.last)
        require(found == listed, f"segment {info.id}", "directory and manifest disagree")
        self.order = self._load_order(txn)
        self._slots: core.Numbers | None = None
        self._ids: tuple[NDArray[np.uint32], memoryview] | None = None
        self._tenants: TenantSlots | None = None
        self._columns: ColumnIndex | None = None
        self._vectors: StoredVectors | None = None
        self._words: TermIndex | None = None
        self._weights: TermIndex | None = None
        self._checked = np.zeros(len(self), np.uint8)  # by slot; shared when `extended`

    def __len__(self) -> int:
        return len(self.directory.numbers)

    @property
    def stored_bytes(self) -> int:
        """Bytes that its documents take in the file, without texts and metadata, at least."""
        return int(self.directory.starts[-1]) * self.token_bytes + 20 * len(self)

    def extended(self, codec: core.Codec) -> Segment:
        """The same segment under a codec that extends its own."""
        other = copy.copy(self)
        other.codec, other._vectors = codec, None
        return other

    # ---- rows and slots ----

    def _load_order(self, txn: Values) -> core.Numbers | None:
        if not self.parts.has(txn, Part.ORDER):
            return None
        where, body = self.parts.where(Part.ORDER), self.parts.body(txn, Part.ORDER)
        require(len(body) == 4 * len(self), where, f"{len(body)} bytes")
        order = np.frombuffer(body, "<u4").astype(np.uint32)
        seen = np.zeros(len(self), bool)
        seen[order[order < len(self)]] = True
        require(bool(seen.all()), where, "not an order of its documents")
        return order

    def slots(self, rows: NDArray[np.integer]) -> core.Numbers:
        """The slots of documents given by their rows."""
        if self.order is None:
            return rows.astype(np.uint32, copy=False)
        if self._slots is None:
            self._slots = np.argsort(self.order).astype(np.uint32)
        found: core.Numbers = self._slots[rows]
        return found

    def slot(self, row: int) -> Slot:
        """The slot of a document given by its row."""
        return Slot(row if self.order is None else int(self.slots(np.array([row]))[0]))

    def row(self, slot: Slot) -> Row:
        """The row of the document in a slot."""
        return Row(slot if self.order is None else self.order.item(slot))

    def by_row(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask by slot as one by row."""
        if self.order is None:
            return mask
        result = np.empty_like(mask)
        result[self.order] = mask
        return result

    def lengths(self) -> core.Numbers:
        """Tokens of each document, by row."""
        lengths = np.diff(self.directory.starts)
        return lengths if self.order is None else lengths[self.slots(np.arange(len(self)))]

    def n_tokens(self, row: int) -> int:
        """Tokens of a document."""
        return self.directory.n_tokens(self.slot(row))

    def total_tokens(self, rows: NDArray[np.integer]) -> int:
        """Tokens of these documents."""
        starts, slots = self.directory.starts, self.slots(rows)
        return int((starts[slots + 1] - starts[slots]).sum(dtype=np.int64))

    # ---- vectors ----

    def has_inline_codes(self, txn: Values) -> bool:
        """Whether records begin with their codes: where codes have no part of their own."""
        return self.codec is not None and not self.parts.has(txn, Part.CODES)

    def open_vectors(self, txn: Values) -> StoredVectors:
        """Its vectors, opened once."""
        vectors = self._vectors
        if vectors is None:
            self._vectors = vectors = StoredVectors(
                txn,
                self.parts,
                self.directory,
                self.codec,
                self._n_centroids,
                self.dim,
                self.has_inline_codes(txn),
                self._checked,
                self.order,
            )
        return vectors

    def vectors(self, txn: Values, row: int) -> core.Floats:
        """Reconstructed vectors (n_tokens, dim) of a document."""
        return self.open_vectors(txn).decoded(self.slot(row))

    # ---- words and weights ----

    def words(self, txn: Values) -> TermIndex | None:
        """The term index of its texts, opened once; None when it has none."""
        if self._words is None and self.parts.has(txn, Part.WORD_DIRECTORY):
            words = self._term_index(txn, Part.WORD_DIRECTORY, Part.WORDS)
            where = self.parts.where(Part.WORDS)
            require(words.lengths is not None, where, "weights where words are expected")
            self._words = words
        return self._words

    def weights(self, txn: Values) -> TermIndex | None:
        """The term index of its learned weights, opened once; None when it has none."""
        if self._weights is None and self.parts.has(txn, Part.WEIGHT_DIRECTORY):
            weights = self._term_index(txn, Part.WEIGHT_DIRECTORY, Part.WEIGHTS)
            where = self.parts.where(Part.WEIGHTS)
            require(weights.lengths is None, where, "words where weights are expected")
            self._weights = weights
        return self._weights

    def stored_weights(self, txn: Values, row: int) -> StoredWeights | None:
        """Where the learned weights of a document are; None when the segment has none."""
        index = self.weights(txn)
        return None if index is None else StoredWeights(index, row)

    def _term_index(self, txn: Values, directory: Part, extents: Part) -> TermIndex:
        where = self.parts.where(extents)
        index = TermIndex(
            self.parts.body(txn, directory),
            lambda count: self.parts.extents(txn, extents, count),
            where,
        )
        fits = index.n_rows == len(self)
        require(fits, where, f"{index.n_rows} rows for {len(self)} documents")
        return index

    # ---- ids, texts, metadata ----

    def key(self, txn: Values, row: int) -> bytes:
        """The key of a document's external id."""
        offsets, keys = self._opened_ids(txn)
        return bytes(keys[offsets.item(row) : offsets.item(row + 1)])

    def _opened_ids(self, txn: Values) -> tuple[NDArray[np.uint32], memoryview]:
        """Offsets of the keys, and the keys."""
        if self._ids is None:
            body, where = self.parts.body(txn, Part.IDS), self.parts.where(Part.IDS)
            table = 4 * (len(self) + 1)
            require(len(body) >= table, where, "too short")
            offsets = np.frombuffer(body[:table], "<u4").astype(np.uint32)
            require(is_cut(offsets, len(body) - table), where, "offsets out of order")
            self._ids = offsets, body[table:]
        return self._ids

    def keys(self, txn: Values, rows: NDArray[np.integer]) -> list[bytes]:
        """The keys of these documents' external ids."""
        offsets, keys = self._opened_ids(txn)
        spans = zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)
        return [bytes(keys[first:end]) for first, end in spans]

    def tenants(self, txn: Values) -> TenantSlots:
        """The documents of each tenant, found at the first use. REQUIRES: a database that separates
        tenants."""
        if self._tenants is None:
            where = self.parts.where(Part.IDS)
            self._tenants = TenantSlots(*self._opened_ids(txn), self.order, where)
        return self._tenants

    def stored(self, txn: Values, row: int) -> texts.Stored:
        """A document's text and metadata, as stored."""
        return next(self.rows_stored(txn, np.array([row], np.uint32)))[1]

    def rows_stored(
        self, txn: Values, rows: core.Numbers, allowance: Allowance | None = None
    ) -> Iterator[tuple[int, texts.Stored]]:
        """These rows (ascending), each with its text and metadata; every block is unpacked once.
        `allowance`: of a call that goes through all documents, whose metadata it will parse."""
        blocks = self.directory.blocks
        if len(blocks) == 1:
            yield from ((row, (None, None)) for row in rows.tolist())
            return
        opened = -1
        stored: Sequence[texts.Stored] = ()
        for row, block in zip(
            rows.tolist(), (np.searchsorted(blocks, rows, "right") - 1).tolist(), strict=True
        ):
            if block != opened:
                stored, opened = self._block(txn, block), block
                if allowance is not None:
                    allowance.earn(self.parts.size(txn, Part.DOCUMENTS, block))
                    values = sum(metadata.cost(raw) for _, raw in stored if raw is not None)
                    allowance.spend(values, self.parts.where(Part.DOCUMENTS, block))
            yield row, stored[row - int(blocks[block])]

    def documents(self, txn: Values, rows: core.Numbers) -> Iterator[EncodedDocument]:
        """These rows (ascending), each with everything that a document consists of, as stored. A
        document that moves to another segment is taken from here."""
        vectors, numbers = self.open_vectors(txn), self.directory.numbers
        for row, (text, raw) in self.rows_stored(txn, rows):
            codes, record, n_tokens = vectors.stored(self.slot(row))
            yield EncodedDocument(
                number=int(numbers[row]),
                key=self.key(txn, row),
                n_tokens=n_tokens,
                text=text,
                metadata=raw,
                weights=self.stored_weights(txn, row),
                codes=codes,
                record=record,
            )

    def _block(self, txn: Values, index: int) -> Sequence[texts.Stored]:
        """All documents of a block."""
        body = self.parts.body(txn, Part.DOCUMENTS, index)
        return texts.unpack(body, self._in_block(index), self.parts.where(Part.DOCUMENTS, index))

    def block_of(self, row: int) -> int | None:
        """The block of a document; None when the segment has none."""
        blocks = self.directory.blocks
        return None if len(blocks) == 1 else int(np.searchsorted(blocks, row, "right")) - 1

    def mean_bytes(self, txn: Values, block: int) -> int:
        """Bytes of text and metadata of a document of a block, on average. Large ones lie alone."""
        body = self.parts.body(txn, Part.DOCUMENTS, block)
        return texts.raw_bytes(body, self.parts.where(Part.DOCUMENTS, block)) // self._in_block(
            block
        )

    def _in_block(self, index: int) -> int:
        return int(self.directory.blocks[index + 1] - self.directory.blocks[index])

    def verify_block(self, txn: Values, index: int, allowance: Allowance) -> int:
        """Checks a block, however much it unpacks to; the number of its texts."""
        body = self.parts.body(txn, Part.DOCUMENTS, index)
        where, n_documents = self.parts.where(Part.DOCUMENTS, index), self._in_block(index)
        allowance.earn(len(body))
        return texts.verify(body, n_documents, where, lambda values: allowance.spend(values, where))

    def columns(self, txn: Values) -> Columns:
        """The columns of the metadata, to be read within the transaction; decoded ones are kept
        with the segment."""
        read = partial(self.parts.body, txn, Part.FIELDS)
        if self._columns is None:
            directory = read(0) if self.directory.n_fields else None
            self._columns = ColumnIndex(len(self), directory)
        return Columns(self._columns, read)
