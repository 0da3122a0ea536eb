"""The database that a command writes into, and its encoder, loaded no earlier than needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.encoders import Encoder

BATCH = 128  # texts encoded together
MEASURED = range(64, 1000)
"""Documents of a file whose level of relevance `finish` measures: fewer are too few for a level
that nobody asked for, more have centroids (docs/engine.md)."""

Id = str | int


@dataclass(frozen=True)
class Record:
    """The text and metadata that are stored under one id."""

    id: Id
    text: str
    metadata: dict[str, Any]


class Target:
    """A database open for writing, to be closed.

    Loading an encoder takes seconds, so a file that exists is opened without one: a run that finds
    nothing changed never loads it.

    Attributes:
        path: the file.
        db: the database, of the file or of its collection."""

    def __init__(
        self, path: Path, encoder: str | None, bits: int | None, collection: str | None = None
    ) -> None:
        """encoder: the value of ``--encoder``."""
        self.path = path
        self._choice = encoder
        self._encoder: Encoder | None = None
        options: dict[str, Any] = {} if bits is None else {"bits": bits}
        is_new = not path.exists()
        of_file = options if collection is None else {}
        self._file = mvdb.open(path, dim=self._dim() if is_new else None, create=is_new, **of_file)
        self.db = self._file
        if collection is not None:
            is_new = collection not in self._file.collections()
            dim = self._dim() if is_new else None
            self.db = self._file.collection(collection, dim=dim, **options)

    def _dim(self) -> int:
        return self._load().dim

    def _load(self) -> Encoder:
        self._encoder = self._encoder or load_encoder(self._choice)
        return self._encoder

    def encoder(self) -> Encoder:
        """The encoder; ValueError if it is not that of the stored vectors."""
        if self._encoder is None:
            check_encoder(self._load(), self.db.stats().encoder, self.path)
        return self._load()

    def close(self) -> None:
        self._file.close()

    def finish(self) -> None:
        """After the last write: measures the level of relevance of a file too small for training,
        because this process ends before maintenance would. A larger one has its level from the
        transaction that trained the centroids."""
        stats = self.db.stats()
        is_small = not stats.centroids and stats.documents in MEASURED
        if is_small and stats.relevance_level is None:
            self.db.optimize()

    def write(self, records: Sequence[Record]) -> int:
        """Stores records in one transaction; the number of their token vectors."""
        texts = [record.text for record in records]
        # Before the transaction: encoding takes seconds, for which other writers would wait.
        vectors = self.db.encode(texts, encoder=self.encoder())
        metadata = [record.metadata for record in records]
        self.db.upsert([record.id for record in records], vectors, texts=texts, metadata=metadata)
        return sum(map(len, vectors))
