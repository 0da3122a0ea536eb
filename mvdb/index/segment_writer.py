"""Writing of segments: documents in, sealed parts out (layout.py says how they lie)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mvdb.catalogue import columns, documents, metadata
from mvdb.index.layout import (
    CHUNK_BYTES,
    KINDS,
    TABLE,
    Directory,
    Part,
    pack_directory,
    part_key,
)
from mvdb.index.manifest import SegmentInfo
from mvdb.storage import envelope
from mvdb.storage.environment import WriteTransaction

Bytes = bytes | memoryview


@dataclass(frozen=True)
class EncodedDocument:
    """A document as a segment stores it: everything but its place."""

    number: int
    key: bytes
    n_tokens: int
    codes: Bytes
    record: Bytes
    checksum: int
    text: bytes | None
    metadata: bytes | None


class SegmentWriter:
    """Collects documents in ascending order of their numbers and writes one segment.

    Chunks and blocks go to the transaction as they fill; what stays in memory until `finish` is the
    directory, the ids and the metadata (for their column index)."""

    def __init__(self, txn: WriteTransaction, segment: int, generation: int) -> None:
        self._txn = txn
        self._segment = segment
        self._generation = generation
        self._numbers: list[int] = []
        self._checksums: list[int] = []
        self._starts: list[int] = [0]
        self._keys: list[bytes] = []
        self._metadata: list[Mapping[str, Any] | None] = []
        self._chunk_documents: list[int] = [0]
        self._codes: list[Bytes] = []
        self._records: list[Bytes] = []
        self._record_bytes = 0
        self._block_documents: list[int] = [0]
        self._block: list[documents.Stored] = []
        self._block_bytes = 0

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def n_tokens(self) -> int:
        """Tokens added so far."""
        return self._starts[-1]

    def add(self, document: EncodedDocument) -> None:
        """Appends a document."""
        if self._records and self._record_bytes + len(document.record) > CHUNK_BYTES:
            self._end_chunk()
        self._numbers.append(document.number)
        self._checksums.append(document.checksum)
        self._starts.append(self._starts[-1] + document.n_tokens)
        self._keys.append(document.key)
        self._codes.append(document.codes)
        self._records.append(document.record)
        self._record_bytes += len(document.record)
        self._add_stored(document.text, document.metadata)

    def _add_stored(self, text: bytes | None, raw_metadata: bytes | None) -> None:
        size = len(text or b"") + len(raw_metadata or b"")
        if self._block and self._block_bytes + size > documents.BLOCK_BYTES:
            self._end_block()
        self._metadata.append(None if raw_metadata is None else metadata.loads(raw_metadata))
        self._block.append((text, raw_metadata))
        self._block_bytes += size

    def _put(self, part: Part, index: int, body: Bytes) -> None:
        key = part_key(self._segment, part, index)
        self._txn.put(TABLE, key, envelope.seal(KINDS[part], key, body))

    def _end_chunk(self) -> None:
        index = len(self._chunk_documents) - 1
        codes = b"".join(self._codes)
        if codes:
            self._put(Part.CODES, index, codes)
        self._put(Part.RECORDS, index, b"".join(self._records))
        self._chunk_documents.append(len(self._numbers))
        self._codes, self._records, self._record_bytes = [], [], 0

    def _end_block(self) -> None:
        self._put(Part.DOCUMENTS, len(self._block_documents) - 1, documents.pack(self._block))
        self._block_documents.append(self._block_documents[-1] + len(self._block))
        self._block, self._block_bytes = [], 0

    def _write_fields(self) -> int:
        if not any(self._metadata):
            return 0
        blobs = columns.build(self._metadata)
        for index, blob in enumerate(blobs):
            self._put(Part.FIELDS, index, blob)
        return len(blobs)

    def finish(self, residual_sum: float) -> SegmentInfo:
        """Writes what is left and returns the manifest's entry. At least one document was added."""
        self._end_chunk()
        nothing_stored = len(self._block_documents) == 1 and all(
            text is None and raw is None for text, raw in self._block
        )
        if not nothing_stored:
            self._end_block()
        offsets = np.cumsum([0, *map(len, self._keys)]).astype("<u4")
        self._put(Part.IDS, 0, offsets.tobytes() + b"".join(self._keys))
        directory = Directory(
            numbers=np.array(self._numbers, np.uint64),
            checksums=np.array(self._checksums, np.uint64),
            starts=np.array(self._starts, np.uint32),
            chunks=np.array(self._chunk_documents, np.uint32),
            blocks=np.array(self._block_documents, np.uint32),
            n_fields=self._write_fields(),
        )
        self._put(Part.DIRECTORY, 0, pack_directory(directory))
        return SegmentInfo(
            id=self._segment,
            generation=self._generation,
            n_documents=len(self._numbers),
            n_deleted=0,
            n_tokens=self._starts[-1],
            deleted_tokens=0,
            residual_sum=residual_sum,
            first=self._numbers[0],
            last=self._numbers[-1],
        )
