"""Write buffer: documents of an open transaction that are not in a segment yet.

Their vectors are kept as float16 in a temporary file without a name (in memory while small), so
that a transaction may be larger than memory, and the first one is trained on all its documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mvdb import core
from mvdb.segment.segment_writer import Document
from mvdb.storage.spool import Spool

BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class Batch:
    """Consecutive documents and their float16 unit vectors (sum of n_tokens, dim)."""

    documents: list[Document]
    vectors: core.Halves


class WriteBuffer:
    """An append-only list of documents with their vectors. Used by one thread; lives until it is
    flushed or its transaction ends."""

    def __init__(self, folder: str, dim: int, memory: int) -> None:
        """Beyond `memory` bytes the vectors go to a file in `folder`."""
        self._dim = dim
        self._vectors = Spool(folder, memory)
        self._documents: list[Document] = []
        self._dropped: set[int] = set()
        self.n_tokens = 0
        """Tokens appended, those of dropped documents included."""
        self.stored_bytes = 0
        """Bytes of texts and metadata, which are held in memory."""

    def __len__(self) -> int:
        return len(self._documents) - len(self._dropped)

    @property
    def n_bytes(self) -> int:
        """Bytes of vectors, texts and metadata."""
        return 2 * self._dim * self.n_tokens + self.stored_bytes

    def append(self, documents: list[Document], vectors: core.Halves) -> None:
        """Adds documents with their unit vectors (sum of n_tokens, dim)."""
        self._vectors.write(vectors.data)
        self._documents += documents
        self.n_tokens += len(vectors)
        self.stored_bytes += sum(document.stored_bytes for document in documents)

    def drop(self, number: int) -> bool:
        """Deletes a document; False when it is not in the buffer."""
        if self._position(number) is None:
            return False
        self._dropped.add(number)
        return True

    def find(self, number: int) -> Document | None:
        """The document with a number; None when it is not in the buffer."""
        at = self._position(number)
        return None if at is None else self._documents[at]

    def update(self, number: int, metadata: bytes | None) -> bool:
        """Replaces the metadata of a document; False when it is not in the buffer."""
        at = self._position(number)
        if at is None:
            return False
        before = self._documents[at]
        self._documents[at] = after = replace(before, metadata=metadata)
        self.stored_bytes += after.stored_bytes - before.stored_bytes
        return True

    def _position(self, number: int) -> int | None:
        # The numbers of a buffer's documents follow each other.
        at = number - self._documents[0].number if self._documents else -1
        return at if 0 <= at < len(self._documents) and number not in self._dropped else None

    def batches(self) -> Iterator[Batch]:
        """The documents in order, without the dropped ones. One iteration at a time."""
        self._vectors.rewind()
        group: list[Document] = []
        size = 0
        for document in self._documents:
            if group and size + document.n_tokens > BATCH_TOKENS:
                yield self._batch(group, size)
                group, size = [], 0
            group.append(document)
            size += document.n_tokens
        if group:
            yield self._batch(group, size)

    def _batch(self, group: list[Document], size: int) -> Batch:
        raw = self._vectors.read(size * self._dim * 2)
        vectors = np.frombuffer(raw, "<f2").reshape(size, self._dim)
        if not self._dropped:
            return Batch(group, vectors)
        is_kept = [document.number not in self._dropped for document in group]
        kept = [document for document, keep in zip(group, is_kept, strict=True) if keep]
        rows = np.repeat(is_kept, [document.n_tokens for document in group])
        return Batch(kept, vectors[rows])

    def close(self) -> None:
        """Closes the temporary file."""
        self._vectors.close()
