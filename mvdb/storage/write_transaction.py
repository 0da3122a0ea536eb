"""Write transactions.

A write transaction belongs to the thread that began it; only this thread can end it, because
liblmdb's mutex belongs to a thread. For the main thread, the thread of `shield` begins and ends
transactions, so that no signal handler interrupts either.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import lmdb

from mvdb.errors import ClosedError, Error, WrongThreadError
from mvdb.storage import envelope, key_space
from mvdb.storage.drain import Entry
from mvdb.storage.format import Buffer
from mvdb.storage.lmdb.tree_sizes import Size
from mvdb.storage.open_file import OpenFile
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.threads import shield


class OpenWrite:
    """A write transaction of liblmdb, to be ended even if its owner does not. Made by the thread
    that has begun it; liblmdb lets no other thread end it.

    Its owner is the object that callers hold, which may be collected before it has ended the
    transaction. ``raw`` is py-lmdb's transaction; None while the owner rolls back."""

    __slots__ = ("_owner", "entry", "raw", "thread")

    def __init__(self, raw: Any, entry: Entry) -> None:
        self.raw = raw
        self.entry = entry
        self.thread = threading.current_thread()
        self._owner: Callable[[], object | None] = lambda: True

    def belongs_to(self, owner: object) -> None:
        self._owner = weakref.ref(owner)

    def lose(self) -> None:
        """The owner is being collected; at that moment weak references to it are still alive."""
        self._owner = lambda: None

    @property
    def is_lost(self) -> bool:
        return self._owner() is None

    def roll_back(self) -> None:
        """REQUIRES: called by its thread, or after the end of its thread."""
        raw, self.raw = self.raw, None
        if raw is not None:
            raw.abort()


class Owner(Protocol):
    """The beginner of a write transaction, as the transaction needs it."""

    def leave(self, entry: Entry) -> None: ...
    def end_write(self, write: OpenWrite) -> None: ...
    def lost_write(self, write: OpenWrite) -> None: ...
    def commit(self, raw: Any) -> None: ...
    def failed_write(self, error: BaseException, doing: str) -> Exception: ...


class WriteTransaction(ReadTransaction):
    """The one transaction that may write. All or nothing: leaving the block commits, an exception
    (or `abort`) rolls back.

    Raises, besides the errors of `ReadTransaction`: `StorageFullError` (rolled back; later writes
    may succeed), `WriteFailedError` (rolled back; the handle writes no more), `PathChangedError`
    when the path no longer leads to the file (rolled back). After these errors only `abort` is
    possible. `WrongThreadError` in another thread, without any change.

    A transaction without references is rolled back: at once, or, when another thread collects it,
    by the next call of its own thread.
    """

    __slots__ = ("_broken", "_full", "_is_open", "_owner", "_thread", "_write")

    def __init__(self, owner: Owner, file: OpenFile, write: OpenWrite) -> None:
        super().__init__(file, write.raw, write.entry, owner.leave)
        self._owner = owner
        self._write = write
        self._broken: Exception | None = None
        self._thread = shield.caller()
        self._is_open = True
        self._full = False
        write.belongs_to(self)

    def __enter__(self) -> WriteTransaction:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        if not self._is_open:
            return
        try:
            if kind is None:
                self.commit()
        finally:
            self.abort()

    def whole(self, table: str, key: bytes) -> memoryview | None:
        """The value stored under ``key``, or None: pages that this transaction wrote are in no
        file yet."""
        return self.get(table, key)

    def values(self, table: str, keys: Sequence[bytes]) -> list[memoryview | None]:
        """The values under several keys. All are read, since pages that this transaction wrote are
        not in the map."""
        return [self.get(table, key) for key in keys]

    def _sizes(self, table: str, length: int, scope: bytes | None) -> dict[bytes, Size]:
        """By reading all values: pages that this transaction wrote are not in the map."""
        return self._sizes_by_reading(table, length, scope)

    def put(self, table: str, key: Buffer, value: Buffer) -> None:
        """Store ``value`` under ``key``, replacing what is there. In a collection the value is one
        that `envelope` has sealed for ``key``; its checksum comes to cover the scope too."""
        txn, key = self._writable(), self.scope + key
        if self.scope:
            value = envelope.sealed_for(key, bytes(value))
        try:
            txn.put(key, value, db=self._tables[table])
        except lmdb.Error as error:
            raise self._failed(error, f"writing to table {table}") from error

    def delete(self, table: str, key: Buffer) -> bool:
        """Remove ``key``; whether it was there."""
        with self._doing(f"deleting from table {table}"):
            return bool(self._writable().delete(self.scope + key, db=self._tables[table]))

    def delete_prefix(self, table: str, prefix: bytes) -> int:
        """Remove every key that begins with ``prefix``, which is not empty; how many there were."""
        return self._delete_all(table, self.scope + prefix)

    def delete_collection(self, number: int) -> None:
        """Remove every key of a collection."""
        for table in self._tables:
            self._delete_all(table, key_space.scope_of(number))

    def _delete_all(self, table: str, prefix: bytes) -> int:
        count, length = 0, len(prefix)
        with (
            self._doing(f"deleting from table {table}"),
            self._writable().cursor(self._tables[table]) as cursor,
        ):
            found = cursor.set_range(prefix)
            while found and cursor.key()[:length] == prefix:
                # Returns False, not an error, when the deleted entry was the last.
                found = cursor.delete()
                count += 1
        return count

    @property
    def is_roomy(self) -> bool:
        """Whether no transaction of usual size can fill the map."""
        return self._file.map.is_roomy

    @property
    def full(self) -> bool:
        """Whether the map was full; `begin_again` is then possible."""
        return self._full

    def begin_again(self) -> None:
        """After the map was `full`: roll back and begin again on the same state in a larger map,
        without ceasing to be the writer. Views and cursors of the transaction are void, and views
        of ended read transactions.

        Raises `BusyError` if other transactions of this process stay open, `StorageFullError` if
        there is no address space."""
        self.check_thread()
        shield.run(self._begin_again)

    def _begin_again(self) -> None:
        self._roll_back()
        self._broken = None
        self._full = False
        try:
            self._file.map.enlarge()
            with self._doing("beginning a transaction"):
                self._txn = self._file.environment.begin(write=True, buffers=True)
            self._write.raw = self._txn
        except BaseException:
            self._end()
            raise

    def commit(self) -> None:
        """Make all writes visible and, as the durability promises, permanent.

        When the map is `full` it can `begin_again`; any other failure is the end."""
        self._writable()
        self.check_thread()
        shield.run(self._commit)

    def _commit(self) -> None:
        shield.check()
        try:
            self._owner.commit(self._txn)
        except Error as error:
            self._full = isinstance(error.__cause__, lmdb.MapFullError)
            if not self._full:
                self._close()
            raise
        self._txn = None
        self._end()

    def abort(self) -> None:
        """Undo all writes. Idempotent, and a no-op after `commit`."""
        self.close()

    def close(self) -> None:
        if not self._is_open:
            return
        if not self._is_in_own_process():
            self._txn, self._is_open = None, False
            return
        self.check_thread()
        shield.run(self._close)

    def _close(self) -> None:
        if self._is_open:
            try:
                self._roll_back()
            finally:
                self._end()

    def _end(self) -> None:
        self._is_open = False
        self._write.raw = None
        self._owner.end_write(self._write)

    def __del__(self) -> None:
        if getattr(self, "_is_open", False) and self._is_in_own_process():
            self._owner.lost_write(self._write)

    def check_thread(self) -> None:
        """Raises `WrongThreadError` unless this thread began the transaction."""
        caller = shield.caller()
        if self._is_open and caller is not self._thread:
            raise WrongThreadError(
                f"{self._file.path}: this write transaction was begun by thread "
                f"{self._thread.name!r} and can be ended by it alone, not by {caller.name!r}"
            )

    def _roll_back(self) -> None:
        """Ends the raw transaction here, in the thread that holds liblmdb's mutex, and not where
        the last traceback that refers to it is dropped."""
        txn, self._txn = self._txn, None
        self._write.raw = None
        # py-lmdb's abort of a write transaction waits until no thread is inside a call into
        # liblmdb, which under busy readers took a minute. Letting go of the last reference aborts
        # at once.
        if txn is not None and sys.getrefcount(txn) > 2:  # a cursor or a traceback has one, too
            with suppress(lmdb.Error):
                txn.abort()

    def _writable(self) -> Any:
        shield.check()
        if self._broken is not None:
            raise self._broken
        if not self._is_in_own_process():
            raise ClosedError(f"{self._file.path}: begun before fork(); reopen in the child")
        return self._open()

    def _failed(self, error: BaseException, doing: str) -> Exception:
        failure = self._owner.failed_write(error, doing)
        self._full = isinstance(error, lmdb.MapFullError)
        if isinstance(failure, Error) and not isinstance(error, lmdb.BadValsizeError):
            self._broken = failure
        return failure
