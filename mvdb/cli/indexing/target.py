"""The database that a command writes into, and its encoder, loaded no earlier than needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import mvdb
from mvdb.cli.encoder_choice import Encoder, check_encoder, load_encoder

BATCH = 128  # texts encoded together
DEFAULT_BITS = 2

Id = str | int


@dataclass(frozen=True)
class Record:
    """What is stored of one passage or document."""

    id: Id
    text: str
    metadata: dict[str, Any]


class Target:
    """A database open for writing; a context manager.

    Loading an encoder takes seconds, so a file that exists is first opened without one: a run that
    finds nothing changed never loads it.

    Attributes:
        path: the file.
        tokens: token vectors written so far."""

    def __init__(self, path: Path, encoder: str | None, bits: int | None) -> None:
        self.path = path
        self.tokens = 0
        self._choice = encoder
        self._bits = bits
        self._encoder: Encoder | None = None
        self._db: mvdb.Database | None = None

    def __enter__(self) -> Target:
        self.is_new = not self.path.exists()
        if self.is_new:
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
        batches = _batches(records)
        first = next(batches, None)
        vectors = self._encode(first) if first else None
        with self.db.transaction() as txn:
            deleted = int(txn.delete(list(stale))) if stale else 0
            while first:
                txn.upsert(
                    [record.id for record in first],
                    vectors,
                    texts=[record.text for record in first],
                    metadata=[record.metadata for record in first],
                )
                first = next(batches, None)
                vectors = self._encode(first) if first else None
        return deleted

    def _encode(self, records: Sequence[Record]) -> list[Any]:
        if self._encoder is None:
            self._open_with_encoder()
        assert self._encoder is not None
        vectors = list(self._encoder.encode_documents([record.text for record in records]))
        self.tokens += sum(len(rows) for rows in vectors)
        return vectors

    def _open_with_encoder(self) -> None:
        encoder = load_encoder(self._choice)
        if self._db is not None:
            check_encoder(encoder, self._db.stats().encoder, self.path)
            self._db.close()
        # Opened anew because the file keeps the encoder's name only when it is opened with one.
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
