"""Transactions: the only way to the content.

A transaction belongs to one thread at a time, a write transaction to the thread that began it: only
that one can end it, since liblmdb's mutex is a thread's. The main thread's are begun and ended by
`shield` in its stead, so that no signal handler cuts that in two.
Every value comes as a read-only view into the mapped file: it dies with its transaction (and, in a
write transaction, with the next write). Whoever keeps it longer copies it first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import lmdb

from mvdb.errors import ClosedError, CorruptionError, Error, WrongThreadError
from mvdb.storage.drain import Visit
from mvdb.storage.failures import translate
from mvdb.storage.format import Buffer
from mvdb.storage.lmdb import overflow_values, tree_sizes
from mvdb.storage.lmdb.pages import READABLE_IN_MEMORY
from mvdb.storage.lmdb.tree_sizes import Size
from mvdb.threads import shield


class Owner(Protocol):
    """What a transaction needs of the environment it belongs to."""

    @property
    def path(self) -> str: ...
    @property
    def tables(self) -> Mapping[str, Any]: ...
    @property
    def epoch(self) -> int: ...
    def in_own_process(self) -> bool: ...
    def leave(self, visit: Visit) -> None: ...
    def end_write(self, visit: Visit) -> None: ...
    def lost_write(self) -> None: ...
    def let_go(self) -> None: ...
    def begin_again(self) -> Any: ...
    def is_roomy(self) -> bool: ...
    def refuse_if_displaced(self) -> None: ...
    def commit(self, transaction: Any) -> None: ...
    def failed_write(self, error: BaseException, doing: str) -> Exception: ...
    def pages(self) -> tuple[int, int]: ...


class ReadTransaction:
    """One frozen state of the database. Readers never wait for writers, nor writers for them.

    A context manager; `close` is idempotent. Keep it short: pages freed by later commits cannot be
    reused while it is open. Every method raises `ClosedError` after `close` and `CorruptionError`
    when liblmdb finds the page structure broken.
    """

    __slots__ = ("__weakref__", "_owner", "_tables", "_txn", "_visit")

    def __init__(self, owner: Owner, txn: Any, visit: Visit) -> None:
        self._owner = owner
        self._tables = owner.tables
        self._txn = txn
        self._visit = visit

    def __enter__(self) -> ReadTransaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
        /,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_txn", None) is not None:
            self.close()

    @property
    def id(self) -> int:
        """Number of the commit that is seen: grows by one with every commit that wrote."""
        return int(self._open().id())

    @property
    def epoch(self) -> int:
        """Number of the map's present place: values lie where they lay in earlier transactions of
        the same epoch, as long as nothing rewrote them."""
        return self._owner.epoch

    @property
    def closed(self) -> bool:
        return self._txn is None

    def get(self, table: str, key: Buffer) -> memoryview | None:
        """The value stored under ``key``, or None."""
        txn = self._txn
        if txn is None:
            raise self._closed()
        try:
            value: memoryview | None = txn.get(key, None, self._tables[table])
            return value
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def values(self, table: str, keys: Sequence[bytes]) -> list[memoryview | None]:
        """The same for several keys; large values are not read, but for the first."""
        txn = self._txn
        if txn is None:
            raise self._closed()
        if not READABLE_IN_MEMORY:
            return [self.get(table, key) for key in keys]
        try:
            page_size, last_page = self._owner.pages()
            return list(
                overflow_values.values(txn, self._tables[table], keys, page_size, last_page)
            )
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def iterate(
        self,
        table: str,
        start: Buffer | None = None,
        *,
        reverse: bool = False,
        prefix: bytes = b"",
    ) -> Iterator[tuple[memoryview, memoryview]]:
        """Keys and values in key order, from ``start`` on (inclusive; ``reverse``: downwards).

        With ``prefix`` only keys that begin with it. In a write transaction do not write meanwhile.
        """
        cursor = self.cursor(table)
        length = len(prefix)
        try:
            if reverse:
                found = _seek_last(cursor, start if start is not None else _successor(prefix))
                if found and start is None and length and bytes(cursor.key()) == _successor(prefix):
                    found = cursor.prev()
                entries = cursor.iterprev()
            else:
                first = max(bytes(start or b""), prefix)
                found = cursor.set_range(first) if first else cursor.first()
                entries = cursor.iternext()
            if not found:
                return
            for key, value in entries:
                if length and key[:length] != prefix:
                    return
                yield key, value
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def cursor(self, table: str) -> Any:
        """A raw cursor of the table, for access patterns that `iterate` does not serve."""
        try:
            return self._open().cursor(self._tables[table])
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def count(self, table: str) -> int:
        """Number of entries in the table (kept by LMDB: not counted anew)."""
        try:
            return int(self._open().stat(self._tables[table])["entries"])
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def table_bytes(self, table: str) -> int:
        """Bytes of all pages of the table (kept by LMDB: not counted anew)."""
        try:
            found = self._open().stat(self._tables[table])
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error
        pages = found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
        return int(pages * found["psize"])

    def sizes(self, table: str, length: int = 0) -> dict[bytes, Size]:
        """How much the entries take, by the first ``length`` bytes of their keys, which have at
        least as many. Large values are not read. Of very many entries under one prefix it is an
        estimate: see `treesizes`."""
        page_size, last_page = self._owner.pages()
        if not tree_sizes.supports(page_size):
            return self._sizes_by_reading(table, length)
        try:
            return tree_sizes.Tree(self._open(), table, page_size, last_page).sizes(length)
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def _sizes_by_reading(self, table: str, length: int) -> dict[bytes, Size]:
        result: dict[bytes, Size] = {}
        for key, value in self.iterate(table):
            result.setdefault(bytes(key[:length]), Size()).add(len(key), len(value))
        return result

    def close(self) -> None:
        """End the transaction; its views must not be used any more."""
        txn, self._txn = self._txn, None
        if txn is not None and self._owner.in_own_process():
            try:
                txn.abort()
            finally:
                self._owner.leave(self._visit)

    def _open(self) -> Any:
        if self._txn is None:
            raise self._closed()
        return self._txn

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self._owner.path}: the transaction has ended")

    def _failed(self, error: BaseException, doing: str) -> Exception:
        if isinstance(error, lmdb.BadTxnError):
            return CorruptionError(
                f"{self._owner.path}: {doing}: this transaction has met damage before, and liblmdb "
                "refuses to go on in it"
            )
        return translate(error, doing, self._owner.path)


class WriteTransaction(ReadTransaction):
    """The one transaction that may write. All or nothing: leaving the block commits, an exception
    (or `abort`) rolls back.

    Besides what `ReadTransaction` raises: `StorageFullError` (rolled back, the handle goes on) and
    `WriteFailedError` (rolled back, the handle writes no more), `PathChangedError` when the file is
    no longer where it was (rolled back). After them only `abort` is left. `WrongThreadError` from
    another thread than its own; nothing has changed then.

    One that nobody holds any more is rolled back: by its thread's next call, should another thread
    collect it.
    """

    __slots__ = ("_broken", "_is_open", "_thread", "full")

    def __init__(self, owner: Owner, txn: Any, visit: Visit) -> None:
        super().__init__(owner, txn, visit)
        self._broken: Exception | None = None
        self._thread = shield.caller()
        self._is_open = True
        self.full = False
        """Whether the map was full: then `begin_again` helps."""

    def __enter__(self) -> WriteTransaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
        /,
    ) -> None:
        if not self._is_open:
            return
        try:
            if kind is None:
                self.commit()
        finally:
            self.abort()

    def values(self, table: str, keys: Sequence[bytes]) -> list[memoryview | None]:
        """The values under several keys. Pages that this transaction wrote are not in the map, so
        all are read."""
        return [self.get(table, key) for key in keys]

    def sizes(self, table: str, length: int = 0) -> dict[bytes, Size]:
        """The same, for which all is read: pages that this transaction wrote are not in the map."""
        return self._sizes_by_reading(table, length)

    def put(self, table: str, key: Buffer, value: Buffer) -> None:
        """Store ``value`` under ``key``, replacing what is there."""
        try:
            self._writable().put(key, value, db=self._tables[table])
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, f"writing to table {table}") from error

    def append(self, table: str, key: Buffer, value: Buffer) -> None:
        """`put` for a key greater than all in the table: faster, and pages are filled to the end.

        Raises `ValueError` if the key is not the greatest.
        """
        try:
            stored = self._writable().put(key, value, append=True, db=self._tables[table])
        except lmdb.KeyExistsError:
            stored = False
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, f"writing to table {table}") from error
        if not stored:
            raise ValueError(f"table {table}: appended key {bytes(key)!r} is not the greatest")

    def delete(self, table: str, key: Buffer) -> bool:
        """Remove ``key``; whether it was there."""
        try:
            return bool(self._writable().delete(key, db=self._tables[table]))
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, f"deleting from table {table}") from error

    def delete_prefix(self, table: str, prefix: bytes) -> int:
        """Remove every key that begins with ``prefix`` (an empty one: all); how many there were."""
        try:
            txn, handle = self._writable(), self._tables[table]
            if not prefix:
                count = int(txn.stat(handle)["entries"])
                txn.drop(handle, delete=False)
                return count
            count, length = 0, len(prefix)
            with txn.cursor(handle) as cursor:
                found = cursor.set_range(prefix)
                while found and cursor.key()[:length] == prefix:
                    # Returns False, not an error, when the deleted entry was the last.
                    found = cursor.delete()
                    count += 1
            return count
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, f"deleting from table {table}") from error

    def begin_again(self) -> None:
        """After the map was `full`: rolled back and begun again on the same state in a larger one,
        as the writer all along. Views and cursors of it are void, as are those of read transactions
        that ended before.

        Raises `BusyError` if other transactions of this process stay open, `StorageFullError` if
        there is no address space."""
        self.check_thread()
        shield.run(self._begin_again)

    def _begin_again(self) -> None:
        self._roll_back()
        self._broken = None
        self.full = False
        try:
            self._txn = self._owner.begin_again()
        except BaseException:
            self._end()
            raise

    @property
    def is_roomy(self) -> bool:
        """Whether no transaction of sane size can fill the map."""
        return self._owner.is_roomy()

    def commit(self) -> None:
        """Make all writes visible and, as the durability promises, permanent.

        When the map is `full` it can `begin_again`; any other failure is the end."""
        self._writable()
        self.check_thread()
        shield.run(self._commit)

    def _commit(self) -> None:
        shield.check()
        try:
            self._owner.refuse_if_displaced()
            self._owner.commit(self._txn)
        except Error as error:
            self.full = isinstance(error.__cause__, lmdb.MapFullError)
            if not self.full:
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
        if not self._owner.in_own_process():
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
        self._owner.end_write(self._visit)

    def __del__(self) -> None:
        if getattr(self, "_is_open", False) and self._owner.in_own_process():
            self._owner.lost_write()

    def check_thread(self) -> None:
        """Raises `WrongThreadError` unless this thread began the transaction."""
        caller = shield.caller()
        if self._is_open and caller is not self._thread:
            raise WrongThreadError(
                f"{self._owner.path}: this write transaction was begun by thread "
                f"{self._thread.name!r} and can be ended by it alone, not by {caller.name!r}"
            )

    def _roll_back(self) -> None:
        """Here, by the thread that holds liblmdb's mutex, and not where a traceback that keeps the
        raw transaction is dropped."""
        txn, self._txn = self._txn, None
        self._owner.let_go()
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
        if not self._owner.in_own_process():
            raise ClosedError(f"{self._owner.path}: begun before fork(); reopen in the child")
        return self._open()

    def _failed(self, error: BaseException, doing: str) -> Exception:
        failure = self._owner.failed_write(error, doing)
        self.full = isinstance(error, lmdb.MapFullError)
        if isinstance(failure, Error) and not isinstance(error, lmdb.BadValsizeError):
            self._broken = failure
        return failure


def _successor(prefix: bytes) -> bytes | None:
    """The smallest byte string greater than all that begin with ``prefix``; None if there is
    none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def _seek_last(cursor: Any, bound: Buffer | None) -> bool:
    """Put the cursor on the last key that is not greater than ``bound``."""
    if bound is None:
        return bool(cursor.last())
    if not cursor.set_range(bound):
        return bool(cursor.last())
    return True if cursor.key() == bound else bool(cursor.prev())
