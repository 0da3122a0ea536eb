"""Snapshots: repeatable reads of one frozen state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mvdb.api.engine import Engine
from mvdb.api.readable import Readable
from mvdb.errors import ClosedError
from mvdb.state.state import State
from mvdb.storage.catalog import check_name
from mvdb.storage.environment import ReadTransaction, ReadView


class Snapshot(Readable):
    """One state of the database, unaffected by later commits. A context manager. Thread-safe.

    An open snapshot prevents the reuse of its state's pages, so that the file may grow: keep
    snapshots short."""

    def __init__(
        self, engine: Engine, txn: ReadTransaction, state: State, *, is_outer: bool = True
    ) -> None:
        """is_outer: whether it is the one that was begun, not that of another collection in it."""
        super().__init__(engine)
        self._is_outer = is_outer
        self._txn = txn
        self._state = state
        self._closed = False

    @contextmanager
    def _reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        if self._closed or self._txn.closed:
            raise ClosedError("the snapshot is closed")
        self._engine.check_process()
        yield self._txn, self._state

    def _reading_later(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        # Hits may outlive their snapshot; a number names one document until its deletion.
        is_over = self._closed or self._txn.closed
        return self._engine.reading() if is_over else self._reading()

    def _leave(self, *, failed: bool) -> None:
        self.close()

    def collection(self, name: str) -> Snapshot:
        """The same state of the file, as a snapshot of one of its collections. It ends with this
        snapshot at the latest.

        Raises NotFoundError for a name that is not there in this state, InvalidInputError in a
        snapshot of a collection."""
        with self._reading() as (txn, _):
            engine = self._engine.of_collection(txn, check_name(name))
            view = ReadView(txn, engine.number)
            return Snapshot(engine, view, engine.cache.state(view), is_outer=False)

    def close(self) -> None:
        """Releases the state. A second call has no effect."""
        if not self._closed:
            self._closed = True
            if self._is_outer:
                self._txn.close()
