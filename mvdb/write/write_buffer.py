"""Documents of an open transaction that are not in a segment yet.

Their vectors wait as float16 in a temporary file without a name (in memory while small), so that a
transaction may be larger than memory, and so that the first one can be trained on all it brings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.storage.spool import Spool

BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class PendingDocument:
    """A document without its vectors."""

    number: int
    key: bytes
    n_tokens: int
    text: bytes | None
    metadata: bytes | None


@dataclass(frozen=True)
class Batch:
    """Consecutive documents and their float16 unit vectors (sum of n_tokens, dim)."""

    documents: list[PendingDocument]
    vectors: NDArray[np.float16]


class Pending:
    """An append-only list of documents with their vectors."""

    def __init__(self, folder: str, dim: int, memory: int) -> None:
        """The vectors are kept in memory up to `memory` bytes."""
        self._dim = dim
        self._waiting = Spool(folder, memory)
        self._documents: list[PendingDocument] = []
        self._dropped: set[int] = set()
        self.n_tokens = 0
        """Tokens appended, those of dropped documents included."""
        self.stored_bytes = 0
        """Bytes of texts and metadata held in memory."""

    def __len__(self) -> int:
        return len(self._documents) - len(self._dropped)

    def append(self, documents: list[PendingDocument], vectors: core.Floats) -> None:
        """Adds documents whose unit vectors (sum of n_tokens, dim) are given."""
        self._waiting.write(np.ascontiguousarray(vectors, "<f2").data)
        self._documents += documents
        self.n_tokens += len(vectors)
        self.stored_bytes += sum(len(d.text or b"") + len(d.metadata or b"") for d in documents)

    def drop(self, number: int) -> bool:
        """Forgets a document; False when it is not here."""
        if not self._documents or number < self._documents[0].number or number in self._dropped:
            return False
        self._dropped.add(number)
        return True

    def batches(self) -> Iterator[Batch]:
        """The documents in order, without the dropped ones. One iteration at a time."""
        self._waiting.rewind()
        group: list[PendingDocument] = []
        size = 0
        for document in self._documents:
            if group and size + document.n_tokens > BATCH_TOKENS:
                yield self._batch(group, size)
                group, size = [], 0
            group.append(document)
            size += document.n_tokens
        if group:
            yield self._batch(group, size)

    def _batch(self, group: list[PendingDocument], size: int) -> Batch:
        raw = self._waiting.read(size * self._dim * 2)
        vectors = np.frombuffer(raw, "<f2").reshape(size, self._dim)
        if not self._dropped:
            return Batch(group, vectors)
        keep = np.repeat(
            [document.number not in self._dropped for document in group],
            [document.n_tokens for document in group],
        )
        return Batch([d for d in group if d.number not in self._dropped], vectors[keep])

    def close(self) -> None:
        """Gives the temporary file back."""
        self._waiting.close()
