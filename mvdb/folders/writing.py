"""The third step: passages are encoded in batches and stored, a transaction each.

A batch holds several files, or a part of a long one: a file of up to 128 passages is stored whole
or not at all. The old versions of a file go in the transaction that stores its first new passages.
After an interruption the stored passages of a long file are found by their identity, and the others
alone are encoded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mvdb import Database
from mvdb.documents.file_identity import FIELD, UNFINISHED, Identity, any_of
from mvdb.encoders import Encoder
from mvdb.folders.file_changes import Change, Move, effort_of, place_metadata
from mvdb.folders.report import Progress, Report
from mvdb.hooks import Hooks
from mvdb.reading.passages import Passage

BATCH = 128
"""Passages encoded together. An interruption loses the work on one batch."""
_FILES = 512
"""Files whose passages are deleted or moved in one transaction."""


@dataclass
class _Batch:
    ids: list[str] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    old: list[Identity] = field(default_factory=list)
    finished: tuple[str, dict[str, Any]] | None = None
    """Id and metadata of the first passage of a long file that ends in this batch."""

    def add(self, passage: Passage, id: str, metadata: dict[str, Any]) -> None:
        self.ids.append(id)
        self.passages.append(passage)
        self.metadata.append(metadata)


class Writing:
    """Stores changes."""

    def __init__(
        self,
        db: Database,
        encoder: Callable[[], Encoder | None],
        report: Report,
        hooks: Hooks,
        tell: Callable[[Progress], object],
    ) -> None:
        self._db = db
        self._encoder = encoder
        self._report = report
        self._hooks = hooks
        self._tell = tell
        self._batch = _Batch()
        self._total = 0
        self._effort = 0
        self._effort_done = 0
        self._started = 0.0

    def expect(self, changes: Sequence[Change]) -> None:
        """What is to come, for estimates."""
        self._total = sum(change.identity.passages for change in changes)
        self._effort = sum(change.effort for change in changes)

    def write(self, change: Change, passages: Sequence[Passage]) -> None:
        """Stores a change, some of it with those that follow."""
        if len(passages) > BATCH:
            self._write_long(change, passages)
        else:
            self._replace(change)
            for number, passage in enumerate(passages, start=1):
                self._batch.add(passage, *change.document(number, passage))
        self._report.indexed += 1
        if len(self._batch.ids) >= BATCH:
            self.flush()

    def _write_long(self, change: Change, passages: Sequence[Passage]) -> None:
        """Stores a long file in several transactions, or what an interruption left of it."""
        self.flush()
        stored = self._stored_ids(change)
        self._replace(change)
        for number, passage in enumerate(passages, start=1):
            id, metadata = change.document(number, passage)
            if id in stored:
                self._total -= 1
                self._effort -= effort_of(passage.encoded)
                continue
            if number == 1:
                metadata = {**metadata, UNFINISHED: metadata[FIELD]}
            self._batch.add(passage, id, metadata)
            if len(self._batch.ids) == BATCH:
                self.flush()
        self._batch.finished = change.document(1, passages[0])
        self.flush()

    def _replace(self, change: Change) -> None:
        self._batch.old += [one for one in change.before if one != change.identity]

    def _stored_ids(self, change: Change) -> set[object]:
        if not change.is_begun:
            return set()
        return set(self._db.ids({FIELD: str(change.identity)}))

    def flush(self) -> None:
        """Stores what is held."""
        batch, self._batch = self._batch, _Batch()
        if not batch.ids and not batch.old and not batch.finished:
            return
        vectors: Sequence[Any] = ()
        if batch.ids:
            encoder = self._encoder()
            self._started = self._started or time.monotonic()
            encoded = [passage.encoded for passage in batch.passages]
            vectors = self._db.encode(encoded, encoder=encoder)
            self._effort_done += sum(map(effort_of, encoded))
        with self._db.transaction() as txn:
            for first in range(0, len(batch.old), _FILES):
                old = batch.old[first : first + _FILES]
                self._report.deleted += txn.delete(filter=any_of(old))
            if batch.ids:
                texts = [passage.text for passage in batch.passages]
                txn.upsert(batch.ids, vectors, texts=texts, metadata=batch.metadata)
            if batch.finished and batch.finished[0] in txn:
                txn.update(batch.finished[0], metadata=batch.finished[1])
        self._report.written += len(batch.ids)
        self._report.tokens += sum(map(len, vectors))
        self._tell(self._progress())
        self._hooks.check()

    def _progress(self) -> Progress:
        seconds = max(time.monotonic() - self._started, 1e-3)
        left = max(self._effort - self._effort_done, 0) * seconds / max(self._effort_done, 1)
        done = self._report.written
        return Progress("encoding", done, self._total, done / seconds, left)

    def move(self, moves: Sequence[Move]) -> None:
        """Stores the new places of files."""
        for first in range(0, len(moves), _FILES):
            some = moves[first : first + _FILES]
            stored = set(self._db.ids(any_of([move.before for move in some])))
            with self._db.transaction() as txn:
                for move in some:
                    place = {**place_metadata(move.after), FIELD: str(move.after)}
                    ids = [id for id in move.before.ids() if id in stored]
                    txn.update(ids, metadata=place, merge=True)
            self._hooks.check()

    def delete(self, stale: Sequence[Identity]) -> None:
        """Deletes versions of files."""
        for first in range(0, len(stale), _FILES):
            self._report.deleted += self._db.delete(filter=any_of(stale[first : first + _FILES]))
            self._hooks.check()
