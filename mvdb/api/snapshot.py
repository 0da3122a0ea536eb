"""Snapshots: repeatable reads of one frozen state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mvdb.api.engine import Engine
from mvdb.api.readable import Readable
from mvdb.errors import ClosedError
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction


class Snapshot(Readable):
    """One state of the database, unaffected by later commits. A context manager. Thread-safe.

    An open snapshot prevents the reuse of its state's pages, so that the file may grow: keep
    snapshots short."""

    def __init__(self, engine: Engine, txn: ReadTransaction, state: State) -> None:
        super().__init__(engine)
        self._txn = txn
        self._state = state
        self._closed = False

    @contextmanager
    def _reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        if self._closed:
            raise ClosedError("the snapshot is closed")
        self._engine.check_process()
        yield self._txn, self._state

    def _reading_later(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        # Hits may outlive their snapshot; a number names one document until its deletion.
        return self._engine.reading() if self._closed else self._reading()

    def _leave(self, *, failed: bool) -> None:
        self.close()

    def close(self) -> None:
        """Releases the state. A second call has no effect."""
        if not self._closed:
            self._closed = True
            self._txn.close()
