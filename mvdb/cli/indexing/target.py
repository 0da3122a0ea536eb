"""The database that a command writes into, and its encoder, loaded no earlier than needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import mvdb
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.encoders import Encoder

BATCH = 128  # texts encoded together
DEFAULT_BITS = 2

Id = str | int


@dataclass(frozen=True)
class Record:
    """What is stored of one passage or document."""

    id: Id
    text: str
    metadata: dict[str, Any]


class _Ahead:
    """An encoder whose work on the next batch is done before the transaction that asks for it.

    The file keeps the encoder's name only when the database itself has texts encoded; encoding
    there would keep other writers waiting meanwhile."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._texts: list[str] = []
        self._vectors: Sequence[Any] = ()
        self.dim = encoder.dim
        self.name = encoder.name
        self.pooling = getattr(encoder, "pooling", None)
        self.tokens = 0

    def prepare(self, texts: list[str]) -> None:
        """Encodes the texts that `encode_documents` will be given next."""
        self._vectors = self._encoder.encode_documents(texts)
        self._texts = texts
        self.tokens += sum(len(rows) for rows in self._vectors)

    def encode_documents(self, texts: Sequence[str], /) -> Sequence[Any]:
        if list(texts) != self._texts:
            self.prepare(list(texts))
        vectors, self._vectors, self._texts = self._vectors, (), []
        return vectors

    def encode_queries(self, texts: Sequence[str], /) -> Sequence[Any]:
        return self._encoder.encode_queries(texts)


class Target:
    """A database open for writing; a context manager.

    Loading an encoder takes seconds, so a file that exists is first opened without one: a run that
    finds nothing changed never loads it.

    Attributes:
        path: the file."""

    def __init__(self, path: Path, encoder: str | None, bits: int | None) -> None:
        self.path = path
        self._choice = encoder
        self._bits = bits
        self._encoder: _Ahead | None = None
        self._db: mvdb.Database | None = None

    def __enter__(self) -> Target:
        if not self.path.exists():
            self._open_with_encoder()
            return self
        self._db = mvdb.open(self.path, create=False)
        try:
            self._check_bits()
        except BaseException:
            self._db.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._db is not None:
            self._db.close()

    @property
    def db(self) -> mvdb.Database:
        assert self._db is not None, "Target is used as a context manager"
        return self._db

    def write(self, records: Sequence[Record], stale: Sequence[Id] = ()) -> int:
        """Deletes the ids in `stale` and stores `records` in one transaction.

        Encoding goes before it; only what is beyond one batch (a long file) is encoded within, so
        that neither the vectors of a whole file are held nor other writers kept waiting for long.

        Returns:
            how many of `stale` there were."""
        batches = list(_batches(records))
        if batches:
            self._prepare(batches[0])
        with self.db.transaction() as txn:
            deleted = txn.delete(list(stale)) if stale else 0
            for batch in batches:
                txn.upsert(
                    [record.id for record in batch],
                    texts=[record.text for record in batch],
                    metadata=[record.metadata for record in batch],
                )
        return deleted

    @property
    def tokens(self) -> int:
        """Token vectors written so far."""
        return self._encoder.tokens if self._encoder else 0

    def _prepare(self, records: Sequence[Record]) -> None:
        if self._encoder is None:
            self._open_with_encoder()
        assert self._encoder is not None
        self._encoder.prepare([record.text for record in records])

    def _open_with_encoder(self) -> None:
        encoder = _Ahead(load_encoder(self._choice))
        if self._db is not None:
            check_encoder(encoder, self._db.stats().encoder, self.path)
            self._db.close()
        self._db = mvdb.open(
            self.path, dim=encoder.dim, bits=self._bits or DEFAULT_BITS, encoder=encoder
        )
        self._encoder = encoder

    def _check_bits(self) -> None:
        kept = self.db.stats().bits
        if self._bits not in (None, kept):
            raise ValueError(
                f"{self.path} has {kept} bits per dimension, which is fixed: leave out --bits "
                "or index into a new file"
            )
        self._bits = kept


def _batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]
