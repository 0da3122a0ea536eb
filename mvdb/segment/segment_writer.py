"""Writer of segments: documents in, sealed parts out (layout.py has the parts and their order).

1. Rows are added (id, text, metadata), in ascending order of document numbers. A full block of
   texts and metadata becomes a part.
2. Slots are added (codes, record), in the order in which they are to be stored. A full chunk of
   records becomes a part; codes become a part beside it or, in a segment with posting lists, the
   beginning of each record.
3. `finish` makes the other parts: ids, order, columns, directory, words, learned weights, posting
   lists.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.documents import metadata, texts
from mvdb.filters import columns
from mvdb.limits import Limits
from mvdb.segment import posting_lists
from mvdb.segment.layout import KINDS, Directory, Part, SegmentInfo, pack_directory, part_key
from mvdb.segment.weight_writer import Weights, WeightWriter
from mvdb.segment.word_writer import WordWriter
from mvdb.storage import envelope
from mvdb.storage.spool import Spool

Bytes = bytes | memoryview
Sealed = tuple[bytes, bytes]
"""Key and value of a part."""


@dataclass(frozen=True)
class Document:
    """A document without its vectors."""

    number: int
    key: bytes
    n_tokens: int
    text: bytes | None
    metadata: bytes | None
    weights: Weights | None

    @property
    def stored_bytes(self) -> int:
        """Bytes of its text, metadata and weights, as far as they are in memory."""
        weights = 0 if self.weights is None else self.weights.n_bytes
        return len(self.text or b"") + len(self.metadata or b"") + weights


@dataclass(frozen=True)
class EncodedDocument(Document):
    """A document with the codes and residuals of its tokens."""

    codes: Bytes
    record: Bytes


@dataclass(frozen=True)
class Listing:
    """Means of making posting lists: the segment's codec, a folder for temporary files, bytes of
    working memory."""

    codec: core.Codec
    folder: str
    memory: int


class SegmentWriter:
    """The open parts of one segment. Used by one thread, until `close`.

    In memory are the directory, ids, metadata (for their columns) and parts that `take` has not
    taken. Codes for posting lists are kept in a temporary file when they are many."""

    def __init__(
        self,
        segment: int,
        generation: int,
        limits: Limits,
        weights: WeightWriter,
        listing: Listing | None = None,
        words: WordWriter | None = None,
    ) -> None:
        """`generation`: the number of the codebook. `listing`: None for a segment without posting
        lists. `words`: None for one without a term index of its texts. `weights` and `words` are
        closed with the segment."""
        self.segment = segment
        self.words = words
        self.weights = weights
        self._generation = generation
        self._limits = limits
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
        self._all_codes = None if listing is None else Spool(listing.folder, limits.spool_bytes)

    @property
    def listed(self) -> bool:
        """Whether the segment gets posting lists."""
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
        """Closes temporary files."""
        if self._all_codes is not None:
            self._all_codes.close()
        self.weights.close()
        if self.words is not None:
            self.words.close()

    def take(self) -> list[Sealed]:
        """Parts that are ready to be stored, each once."""
        ready, self._ready = self._ready, []
        return ready

    def add(self, document: EncodedDocument) -> None:
        """Appends a document, as a row with its words and as a slot."""
        self.add_document(document)
        self.add_slot(document.codes, document.record, document.n_tokens)

    def add_document(self, document: Document) -> None:
        """Appends a document as a row, and indexes its text and its weights."""
        self.add_row(document.number, document.key, document.text, document.metadata)
        self.weights.add(document.weights)
        if self.words is not None:
            self.words.add_text(document.text)

    def add_row(
        self, number: int, key: bytes, text: bytes | None, raw_metadata: bytes | None
    ) -> None:
        """Appends a document's id, text and metadata. The caller adds its row to `words` and
        `weights`."""
        self._numbers.append(number)
        self._keys += key
        self._key_ends.append(len(self._keys))
        size = len(text or b"") + len(raw_metadata or b"")
        if self._block and self._block_bytes + size > texts.BLOCK_BYTES:
            self._end_block()
        self._columns.add(None if raw_metadata is None else metadata.loads(raw_metadata))
        self._block.append((text, raw_metadata))
        self._block_bytes += size

    def add_slot(
        self, codes: Bytes, record: Bytes, n_tokens: int, listed: Bytes | None = None
    ) -> None:
        """Appends a document's codes and residuals. listed: the centroids whose lists get it; None:
        those of its codes."""
        if self._all_codes is None:
            inline = record
        else:
            self._all_codes.write(codes if listed is None else listed)
            inline = b"".join((codes, record))
        if self._records and self._chunk_bytes + len(inline) > self._limits.chunk_bytes:
            self._end_chunk()
        if self._all_codes is None:
            self._codes.append(codes)
        self._checksums.append(envelope.checksum(inline))
        self._starts.append(self._starts[-1] + n_tokens)
        self._records.append(inline)
        self._chunk_bytes += len(inline)

    def finish(self, order: core.Numbers | None = None) -> Iterator[list[Sealed]]:
        """Makes the other parts, some in each step. REQUIRES: at least one document was added.

        order: uint32 (n,), the row in each slot; None: slots are in the order of the rows."""
        self._end_chunk()
        has_blocks = len(self._block_rows) > 1
        if has_blocks or any(stored != (None, None) for stored in self._block):
            self._end_block()
        offsets = np.array(self._key_ends).astype("<u4")
        self._put(Part.IDS, 0, offsets.tobytes() + self._keys)
        if order is not None:
            self._put(Part.ORDER, 0, order.astype("<u4").tobytes())
        fields = [] if self._columns.is_empty else self._columns.build()
        for index, blob in enumerate(fields):
            self._put(Part.FIELDS, index, blob)
        directory = Directory(
            numbers=np.array(self._numbers, np.uint64),
            checksums=np.array(self._checksums, np.uint64),
            starts=np.array(self._starts, np.uint32),
            chunks=np.array(self._chunk_slots, np.uint32),
            blocks=np.array(self._block_rows, np.uint32),
            n_fields=len(fields),
        )
        self._put(Part.DIRECTORY, 0, pack_directory(directory))
        yield self.take()
        if self.words is not None:
            yield from self._made(self.words.parts())
        yield from self._made(self.weights.parts())
        if self._listing is not None and self._all_codes is not None:
            yield from self._make_lists(self._listing, self._all_codes)

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

    def _made(self, parts: Iterator[tuple[Part, int, bytes]]) -> Iterator[list[Sealed]]:
        """The parts of a term index, one in each step."""
        for part, index, body in parts:
            self._put(part, index, body)
            yield self.take()

    def _make_lists(self, listing: Listing, all_codes: Spool) -> Iterator[list[Sealed]]:
        """The posting lists, an extent in each step."""
        builder = posting_lists.Builder(
            np.frombuffer(all_codes.contents(), np.uint8),
            listing.codec.code_bytes,
            np.array(self._starts, np.uint32),
            listing.codec.n_centroids,
            memory=listing.memory,
            extent_bytes=self._limits.extent_bytes,
        )
        for index, extent in enumerate(builder.extents()):
            self._put(Part.LISTS, index, extent)
            yield self.take()
        self._put(Part.LIST_DIRECTORY, 0, builder.directory())
        yield self.take()

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

    def _put(self, part: Part, index: int, body: Bytes) -> None:
        key = part_key(self.segment, part, index)
        self._ready.append((key, envelope.seal(KINDS[part], key, body)))
