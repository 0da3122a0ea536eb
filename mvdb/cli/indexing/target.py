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


class _Ahead:
    """An encoder that encodes the next batch before the transaction begins.

    A file keeps the encoder's name only if the database itself has texts encoded, within
    a transaction; encoding takes seconds, for which other writers would have to wait."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._prepared: tuple[list[str], Sequence[Any]] = ([], ())
        self.encode_queries = encoder.encode_queries
        self.dim = encoder.dim
        self.name = encoder.name
        self.pooling = getattr(encoder, "pooling", None)
        self.tokens = 0

    def prepare(self, texts: list[str]) -> None:
        """Encodes the texts that `encode_documents` will be given next."""
        self._prepared = texts, self._encoder.encode_documents(texts)
        self.tokens += sum(map(len, self._prepared[1]))

    def encode_documents(self, texts: Sequence[str], /) -> Sequence[Any]:
        if list(texts) != self._prepared[0]:
            self.prepare(list(texts))
        vectors, self._prepared = self._prepared[1], ([], ())
        return vectors


class Target:
    """A database open for writing, to be closed.

    Loading an encoder takes seconds, so a file that exists is first opened without one: a run that
    finds nothing changed never loads it.

    Attributes:
        path: the file.
        tokens: token vectors written so far.
        db: the database, of the file or of its collection; another object after the first
            `write`."""

    def __init__(
        self,
        path: Path,
        encoder: str | Encoder | None,
        bits: int | None,
        collection: str | None = None,
    ) -> None:
        """encoder: the value of ``--encoder``, or one that is loaded already."""
        self.path = path
        self._collection = collection
        self.tokens = 0
        self._choice = encoder
        self._bits: dict[str, Any] = {} if bits is None else {"bits": bits}
        self._encoder: _Ahead | None = None
        if not path.exists():
            self._open_with_encoder()
        elif collection is None:
            self._file = self.db = mvdb.open(path, create=False, **self._bits)
        else:
            self._file = mvdb.open(path, create=False)
            if collection in self._file.collections():
                self.db = self._file.collection(collection, **self._bits)
            else:
                self._open_with_encoder()

    def close(self) -> None:
        self._file.close()

    def finish(self) -> None:
        """After the last `write`: measures the level of relevance of a file too small for training,
        because this process ends before maintenance would. A larger one has its level from the
        transaction that trained the centroids."""
        stats = self.db.stats()
        is_small = not stats.centroids and stats.documents in MEASURED
        if self.tokens and is_small and stats.relevance_level is None:
            self.db.optimize()

    def write(self, records: Sequence[Record], stale: Sequence[Id] = ()) -> int:
        """Deletes the ids in `stale`, of which it returns the number found, and stores `records` in
        one transaction.

        The first batch is encoded before the transaction. The others (of a long file) are encoded
        within, so that the vectors of a whole file are never held together."""
        if records:
            encoder = self._encoder or self._open_with_encoder(self.db)
            encoder.prepare([record.text for record in records[:BATCH]])
        with self.db.transaction() as txn:
            deleted = txn.delete(list(stale)) if stale else 0
            for start in range(0, len(records), BATCH):
                batch = records[start : start + BATCH]
                txn.upsert(
                    [record.id for record in batch],
                    texts=[record.text for record in batch],
                    metadata=[record.metadata for record in batch],
                )
        self.tokens = self._encoder.tokens if self._encoder else 0
        return deleted

    def _open_with_encoder(self, opened: mvdb.Database | None = None) -> _Ahead:
        choice = self._choice
        encoder = load_encoder(choice) if choice is None or isinstance(choice, str) else choice
        if opened is not None:
            check_encoder(encoder, opened.stats().encoder, self.path)
        self._encoder = _Ahead(encoder)
        options: dict[str, Any] = {"encoder": self._encoder, **self._bits}
        if self._collection is None:
            if opened is not None:
                opened.close()
            self._file = self.db = mvdb.open(self.path, dim=encoder.dim, **options)
        else:
            if not self.path.exists():
                self._file = mvdb.open(self.path, dim=encoder.dim)
            self.db = self._file.collection(self._collection, **options)
        return self._encoder
