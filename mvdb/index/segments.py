"""Reading of segments.

A `Segment` is opened once for each environment and shared by the states that contain it: what it
reads is immutable. Large values are used where they lie in the mapped file; values that fit a page
are copied, because LMDB moves small values when it rewrites the page they share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.catalogue import documents
from mvdb.catalogue.columns import Columns
from mvdb.errors import CorruptionError
from mvdb.index.layout import (
    KINDS,
    TABLE,
    Directory,
    Part,
    part_key,
    unpack_directory,
)
from mvdb.index.manifest import SegmentInfo
from mvdb.index.segment_writer import EncodedDocument
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction

LARGEST_PAGE = 1 << 16
"""Values at least this long never share a page, whatever the page size."""


class Segment:
    """The parts of one segment, each read and verified at first use.

    Methods that take a transaction need one that sees this segment; the views they keep are valid
    in every such transaction of the same environment until its map moves. A `volatile` segment was
    written by the open transaction itself: everything of it is copied."""

    def __init__(
        self,
        txn: ReadTransaction,
        info: SegmentInfo,
        codec: core.Codec | None,
        dim: int,
        *,
        volatile: bool = False,
    ) -> None:
        self.id = info.id
        self.codec = codec
        self.dim = dim
        self._copy_below = sys.maxsize if volatile else LARGEST_PAGE
        self.token_bytes = codec.token_bytes if codec else core.token_bytes(dim, 16)
        self.code_bytes = codec.code_bytes if codec else 0
        self.directory: Directory = unpack_directory(
            self.part(txn, Part.DIRECTORY), self._where(Part.DIRECTORY)
        )
        if len(self) != info.n_documents or int(self.directory.starts[-1]) != info.n_tokens:
            raise CorruptionError(f"segment {self.id}: directory and manifest disagree")
        self._ids: tuple[NDArray[np.uint32], memoryview] | None = None
        self._view: core.SegmentView | None = None
        self._codes: list[memoryview] = []
        self._records: list[memoryview] = []
        self._checked = np.zeros(len(self), bool)
        self.is_checked = False
        """Whether the records of all documents have been verified."""

    def __len__(self) -> int:
        return len(self.directory.numbers)

    def _where(self, part: Part, index: int = 0) -> str:
        return f"segment {self.id}, {part.name.lower()} {index}"

    def part(
        self, txn: ReadTransaction, part: Part, index: int = 0, *, verified: bool = False
    ) -> memoryview:
        """The body of one value; CorruptionError when it is missing or damaged."""
        key = part_key(self.id, part, index)
        value = txn.get(TABLE, key)
        where = self._where(part, index)
        if value is None:
            raise CorruptionError(f"{where}: missing")
        if len(value) < self._copy_below:
            value = memoryview(bytes(value))
        opener = envelope.peek if verified else envelope.unseal
        return opener(KINDS[part], key, value, where)

    # ---- vectors ----

    def view(self, txn: ReadTransaction) -> core.SegmentView:
        """The segment as the core reads it. Codes are verified here, records by `check_records`."""
        if self._view is None:
            chunks = range(len(self.directory.chunks) - 1)
            records = [self.part(txn, Part.RECORDS, index) for index in chunks]
            codes = [self.part(txn, Part.CODES, index) for index in chunks] if self.codec else []
            view = core.SegmentView(
                self.codec, self.dim, self.directory.starts, self.directory.chunks, codes, records
            )
            if self.codec is not None:
                for part in codes:
                    core.check_codes(self.codec, part)
            self._records, self._codes, self._view = records, codes, view
        return self._view

    def check_records(self, txn: ReadTransaction, rows: NDArray[np.integer]) -> None:
        """Verifies the records of documents `rows` that have not been verified since opening."""
        unchecked = rows[~self._checked[rows]]
        if len(unchecked) == 0:
            return
        self.view(txn)
        for row in unchecked.tolist():
            self._record(row)
        self.is_checked = bool(self._checked.all())

    def _place(self, row: int) -> tuple[int, int, int]:
        """Chunk of a document, its first token counted from the chunk's, and its tokens."""
        directory = self.directory
        chunk = int(np.searchsorted(directory.chunks, row, side="right")) - 1
        start = int(directory.starts[row])
        offset = start - int(directory.starts[directory.chunks[chunk]])
        return chunk, offset, int(directory.starts[row + 1]) - start

    def _record(self, row: int) -> memoryview:
        """A document's record, verified. `view` has been called."""
        chunk, offset, n_tokens = self._place(row)
        size = self.token_bytes
        record = self._records[chunk][offset * size : (offset + n_tokens) * size]
        if not self._checked[row]:
            if envelope.checksum(record) != int(self.directory.checksums[row]):
                raise CorruptionError(
                    f"segment {self.id}: the vectors of document number "
                    f"{int(self.directory.numbers[row])} are damaged (checksum mismatch)"
                )
            self._checked[row] = True
        return record

    def _document_codes(self, row: int) -> memoryview:
        if self.codec is None:
            return memoryview(b"")
        chunk, offset, n_tokens = self._place(row)
        size = self.code_bytes
        return self._codes[chunk][offset * size : (offset + n_tokens) * size]

    def n_tokens(self, row: int) -> int:
        """Tokens of a document."""
        return int(self.directory.starts[row + 1]) - int(self.directory.starts[row])

    def vectors(self, txn: ReadTransaction, row: int) -> core.Floats:
        """Reconstructed vectors (n_tokens, dim) of a document."""
        self.view(txn)
        record = self._record(row)
        if self.codec is None:
            return np.frombuffer(record, "<f2").astype(np.float32).reshape(-1, self.dim)
        return self.codec.decode(self._document_codes(row), record, self.n_tokens(row))

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

    def stored(self, txn: ReadTransaction, row: int) -> documents.Stored:
        """A document's text and metadata, as stored."""
        blocks = self.directory.blocks
        if len(blocks) == 1:
            return None, None
        block = int(np.searchsorted(blocks, row, side="right")) - 1
        return self.block(txn, block)[row - int(blocks[block])]

    def block(self, txn: ReadTransaction, index: int) -> list[documents.Stored]:
        """All documents of a block."""
        blocks = self.directory.blocks
        return documents.unpack(
            self.part(txn, Part.DOCUMENTS, index),
            int(blocks[index + 1] - blocks[index]),
            self._where(Part.DOCUMENTS, index),
        )

    def columns(self, txn: ReadTransaction) -> Columns | None:
        """The column index of the metadata, valid within the transaction; None without metadata."""
        if self.directory.n_fields == 0:
            return None
        return Columns(lambda index: self.part(txn, Part.FIELDS, index), len(self))

    # ---- everything, for merging and checking ----

    def live_documents(
        self, txn: ReadTransaction, live: NDArray[np.bool_] | None
    ) -> Iterator[EncodedDocument]:
        """Live documents in order, with all that a new segment needs to hold them."""
        blocks = self.directory.blocks
        block = -1
        stored: list[documents.Stored] = []
        for row in range(len(self)):
            if live is not None and not live[row]:
                continue
            if len(blocks) == 1:
                yield self.encoded(txn, row, (None, None))
                continue
            if block < 0 or row >= blocks[block + 1]:
                block = int(np.searchsorted(blocks, row, side="right")) - 1
                stored = self.block(txn, block)
            yield self.encoded(txn, row, stored[row - int(blocks[block])])

    def encoded(self, txn: ReadTransaction, row: int, stored: documents.Stored) -> EncodedDocument:
        """One document with all that a new segment needs to hold it."""
        self.view(txn)
        return EncodedDocument(
            number=int(self.directory.numbers[row]),
            key=self.key(txn, row),
            n_tokens=self.n_tokens(row),
            codes=self._document_codes(row),
            record=self._record(row),
            checksum=int(self.directory.checksums[row]),
            text=stored[0],
            metadata=stored[1],
        )
