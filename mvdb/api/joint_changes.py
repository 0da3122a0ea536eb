"""The changes of one write transaction to one or more collections of a file: made, replayed in a
larger map, committed and rolled back together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from mvdb.api.engine import Engine
from mvdb.api.replay_log import Change, Journal
from mvdb.errors import ClosedError, Error, StorageFullError
from mvdb.storage.environment import WriteTransaction, WriteView
from mvdb.threads import shield
from mvdb.write import index_writer
from mvdb.write.changes import Changes

T = TypeVar("T")

_UNFINISHED = Error("it was interrupted")


@dataclass
class Part:
    """One collection: the transaction as it sees it, and its changes so far. `first_own`: number of
    the first document that the transaction may add."""

    engine: Engine
    txn: WriteTransaction
    changes: Changes
    first_own: int


class JointChanges:
    """Used by the thread that began the transaction."""

    def __init__(self, engine: Engine, txn: WriteTransaction) -> None:
        """engine: of the handle that began the transaction."""
        self._txn = txn
        self._parts: dict[int, Part] = {}
        self._own = self._join(engine, txn)
        self.finished = False
        self.committed = False
        self._failure: BaseException | None = None
        memory = engine.limits.spool_bytes // 2
        self._journal = None if txn.is_roomy else Journal(engine.resources.folder, memory)

    def part(self, engine: Engine) -> Part:
        """The part of a handle's collection; made at its first use."""
        part = self._parts.get(engine.number)
        if part is not None:
            return part
        return self._join(engine, WriteView(self._txn, engine.number))

    def _join(self, engine: Engine, txn: WriteTransaction) -> Part:
        changes = _changes(engine, txn)
        part = Part(engine, txn, changes, changes.manifest.next_document)
        self._parts[engine.number] = part
        return part

    def check_open(self) -> None:
        """ClosedError after the end, and Error after a failed write."""
        if self.finished:
            raise ClosedError("the transaction is finished; begin another one")
        self._own.engine.check_open()
        if self._failure is not None:
            raise Error(
                f"an earlier write of this transaction failed ({self._failure}); it will be rolled "
                "back"
            ) from self._failure

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A write; its failure dooms the transaction."""
        self._txn.check_thread()
        self.check_open()
        # Set before the write: an exception of a signal handler may come at any bytecode.
        self._failure = _UNFINISHED
        try:
            yield
        except BaseException as error:
            self._failure = error
            raise
        self._failure = None

    # ---- a map that gets full ----

    def change(self, part: Part, change: Change) -> Any:
        """Makes a change to a collection; what its function returns."""
        result = self.perform(part, change)
        if self._journal is not None:
            self._journal.add(part.engine.number, change)
        return result

    def perform(self, part: Part, function: Callable[[Changes], T]) -> T:
        """What `function` returns for the changes so far. When the map is full, all changes are
        made again in a larger one, and `function` is called again."""
        behind = False
        while True:
            try:
                if behind:
                    shield.run(self._begin_again)
                return function(part.changes)
            except StorageFullError:
                if self._journal is None or not self._txn.full:
                    raise
                behind = True

    def _begin_again(self) -> None:
        assert self._journal is not None
        for part in self._parts.values():
            part.changes.close()
        self._txn.begin_again()
        for part in self._parts.values():
            part.changes = _changes(part.engine, part.txn)
        for number, change in self._journal.changes():
            change(self._parts[number].changes)

    # ---- end ----

    def commit(self) -> None:
        """Commits all changes. Raises after rolling them back."""
        self._txn.check_thread()
        shield.run(self._commit)

    def _commit(self) -> None:
        try:
            self.check_open()
            self.perform(self._own, self._finish)
        except BaseException:
            self._roll_back()
            raise
        self.committed = True
        self._end()

    def _finish(self, _: Changes) -> None:
        for part in self._parts.values():
            index_writer.finish(part.changes)
        self._txn.commit()

    def rollback(self) -> None:
        """Undoes all changes. No effect after the end, nor in a child after `os.fork()`."""
        if not self.finished and self._own.engine.is_in_own_process():
            self._txn.check_thread()
            shield.run(self._roll_back)

    def _roll_back(self) -> None:
        if not self.finished:
            self._txn.abort()
            self._end()

    def _end(self) -> None:
        self.finished = True
        for part in self._parts.values():
            part.changes.close()
        if self._journal is not None:
            self._journal.close()
        if self.committed:
            for part in self._parts.values():
                part.engine.maintenance.committed()


def _changes(engine: Engine, txn: WriteTransaction) -> Changes:
    return Changes(txn, engine.cache.state(txn), engine.resources)
