"""Making of segments: documents in, sealed parts out (layout.py says how they lie)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.documents import metadata, texts
from mvdb.filters import columns
from mvdb.segment import posting_lists
from mvdb.segment.layout import (
    CHUNK_BYTES,
    KINDS,
    Directory,
    Part,
    SegmentInfo,
    pack_directory,
    part_key,
)
from mvdb.storage import envelope
from mvdb.storage.spool import Spool

Bytes = bytes | memoryview
Sealed = tuple[bytes, bytes]
"""Key and value of a part."""

SPOOL_MEMORY = 32 << 20
"""What waits for the end of a segment does so in memory up to this, then in a file."""


@dataclass(frozen=True)
class EncodedDocument:
    """A document as a segment stores it: everything but its place."""

    number: int
    key: bytes
    n_tokens: int
    codes: Bytes
    record: Bytes
    text: bytes | None
    metadata: bytes | None


@dataclass(frozen=True)
class Listing:
    """What a segment needs to get inverted lists: its codec, where temporary files may lie, and how
    many bytes may be worked in."""

    codec: core.Codec
    folder: str
    memory: int


class SegmentWriter:
    """Collects the documents of one segment; its parts come out as they fill.

    Rows are added in ascending order of document numbers, slots in the order in which they are to
    lie. With a `listing` the codes go into the records and lists are made of them; what stays in
    memory is the directory, the ids, the metadata (for their column index) and what `take` has not
    taken; codes wait for the lists in a temporary file when they are many."""

    def __init__(self, segment: int, generation: int, listing: Listing | None = None) -> None:
        self.segment = segment
        self._generation = generation
        self._listing = listing
        self._ready: list[Sealed] = []
        # Compact arrays: there may be millions of documents.
        self._numbers = array("Q")
        self._checksums = array("Q")
        self._starts = array("L", [0])
        self._keys = bytearray()
        self._key_ends = array("L", [0])
        self._columns = columns.Builder()
        self._chunk_slots: list[int] = [0]
        self._codes: list[Bytes] = []
        self._records: list[Bytes] = []
        self._chunk_bytes = 0
        self._block_rows: list[int] = [0]
        self._block: list[texts.Stored] = []
        self._block_bytes = 0
        self._all_codes = None if listing is None else Spool(listing.folder, SPOOL_MEMORY)

    @property
    def listed(self) -> bool:
        """Whether the segment gets inverted lists."""
        return self._listing is not None

    @property
    def n_tokens(self) -> int:
        """Tokens added so far."""
        return self._starts[-1]

    def lengths(self) -> core.Numbers:
        """Tokens of each slot."""
        starts = np.array(self._starts, np.uint32)
        return starts[1:] - starts[:-1]

    def close(self) -> None:
        """Gives temporary files back."""
        if self._all_codes is not None:
            self._all_codes.close()

    def take(self) -> list[Sealed]:
        """Parts that are ready to be stored, each once."""
        ready, self._ready = self._ready, []
        return ready

    def add(self, document: EncodedDocument) -> None:
        """Appends a document, as a row and as a slot."""
        self.add_row(document.number, document.key, document.text, document.metadata)
        self.add_slot(document.codes, document.record, document.n_tokens)

    def add_row(
        self, number: int, key: bytes, text: bytes | None, raw_metadata: bytes | None
    ) -> None:
        """Appends a document's id, text and metadata."""
        self._numbers.append(number)
        self._keys += key
        self._key_ends.append(len(self._keys))
        size = len(text or b"") + len(raw_metadata or b"")
        if self._block and self._block_bytes + size > texts.BLOCK_BYTES:
            self._end_block()
        self._columns.add(None if raw_metadata is None else metadata.loads(raw_metadata))
        self._block.append((text, raw_metadata))
        self._block_bytes += size

    def add_slot(self, codes: Bytes, record: Bytes, n_tokens: int) -> None:
        """Appends a document's codes and residuals."""
        if self._all_codes is not None:
            self._all_codes.write(codes)
            record = b"".join((codes, record))
        if self._records and self._chunk_bytes + len(record) > CHUNK_BYTES:
            self._end_chunk()
        self._checksums.append(envelope.checksum(record))
        self._starts.append(self._starts[-1] + n_tokens)
        if self._all_codes is None:
            self._codes.append(codes)
        self._records.append(record)
        self._chunk_bytes += len(record)

    def _put(self, part: Part, index: int, body: Bytes) -> None:
        key = part_key(self.segment, part, index)
        self._ready.append((key, envelope.seal(KINDS[part], key, body)))

    def _end_chunk(self) -> None:
        index = len(self._chunk_slots) - 1
        codes = b"".join(self._codes)
        if codes:
            self._put(Part.CODES, index, codes)
        self._put(Part.RECORDS, index, b"".join(self._records))
        self._chunk_slots.append(len(self._checksums))
        self._codes, self._records, self._chunk_bytes = [], [], 0

    def _end_block(self) -> None:
        self._put(Part.DOCUMENTS, len(self._block_rows) - 1, texts.pack(self._block))
        self._block_rows.append(self._block_rows[-1] + len(self._block))
        self._block, self._block_bytes = [], 0

    def _write_fields(self) -> int:
        if self._columns.is_empty:
            return 0
        blobs = self._columns.build()
        for index, blob in enumerate(blobs):
            self._put(Part.FIELDS, index, blob)
        return len(blobs)

    def _make_lists(self) -> Iterator[None]:
        """Makes the lists, a step for each extent."""
        assert self._all_codes is not None
        assert self._listing is not None
        codes = np.frombuffer(self._all_codes.contents(), np.uint8)
        starts = np.array(self._starts, np.uint32)
        codec = self._listing.codec
        builder = posting_lists.Builder(
            codes, codec.code_bytes, starts, codec.n_centroids, self._listing.memory
        )
        for index, extent in enumerate(builder.extents()):
            self._put(Part.LISTS, index, extent)
            yield
        self._put(Part.LIST_DIRECTORY, 0, builder.directory())

    def finish_steps(self, order: core.Numbers | None = None) -> Iterator[None]:
        """Makes the parts that are left, a step at a time. At least one document was added.

        order: uint32 (n,), the row in each slot; None: slots are in the order of the rows."""
        self._end_chunk()
        nothing_stored = len(self._block_rows) == 1 and all(
            text is None and raw is None for text, raw in self._block
        )
        if not nothing_stored:
            self._end_block()
        offsets = np.array(self._key_ends).astype("<u4")
        self._put(Part.IDS, 0, offsets.tobytes() + self._keys)
        if order is not None:
            self._put(Part.ORDER, 0, order.astype("<u4").tobytes())
        directory = Directory(
            numbers=np.array(self._numbers, np.uint64),
            checksums=np.array(self._checksums, np.uint64),
            starts=np.array(self._starts, np.uint32),
            chunks=np.array(self._chunk_slots, np.uint32),
            blocks=np.array(self._block_rows, np.uint32),
            n_fields=self._write_fields(),
        )
        self._put(Part.DIRECTORY, 0, pack_directory(directory))
        yield
        if self._all_codes is not None:
            yield from self._make_lists()

    def info(self, residual_sum: float) -> SegmentInfo:
        """The manifest's entry."""
        return SegmentInfo(
            id=self.segment,
            generation=self._generation,
            n_documents=len(self._numbers),
            n_deleted=0,
            n_tokens=self._starts[-1],
            deleted_tokens=0,
            residual_sum=residual_sum,
            first=self._numbers[0],
            last=self._numbers[-1],
        )
