"""The one LMDB environment a process has on a file, shared by all its handles.

liblmdb forbids a second one (closing it would drop the locks of the first), so `registry` keeps one
`SharedEnvironment` per inode. It counts handles and transactions; the last of them closes it.

Thread contract: all methods may be called from any thread. ``lifecycle`` is held while a handle
comes or goes and while the environment is opened, reopened or closed; it is taken before the gate.

What a failed write means. liblmdb writes a transaction's pages to space that no durable state uses,
syncs them, then writes the meta page. If there was no room for the pages, nothing has happened;
with durability "full" the handle goes on, since every later commit writes and syncs all of its own
pages. Any other failure, and any at all under "relaxed" (where the failed sync may be the one an
earlier meta page was waiting for), poisons: reads go on, writes raise `WriteFailedError` until the
file is opened anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import lmdb

from mvdb.errors import (
    BusyError,
    ClosedError,
    Error,
    ReadOnlyError,
    WriteFailedError,
)
from mvdb.storage import cleanmark, growth
from mvdb.storage.arrival import lock_path, remove_lock_file, still_names
from mvdb.storage.failures import code_of, is_full, translate
from mvdb.storage.filelock import (
    UnregisteredReaders,
    WriterLock,
    try_flock,
    wait_for_unregistered_readers,
)
from mvdb.storage.gate import Gate
from mvdb.storage.opening import Mode, open_lmdb, open_tables
from mvdb.storage.transaction import ReadTransaction, WriteTransaction

DRAIN_SECONDS: Final = 5.0
"""How long the gate waits for transactions of this process to end."""
_WRITER_SECONDS: Final = 0.1
"""How long opening for writing waits for another writer before it opens for reading at first."""
_JOIN_SECONDS: Final = 1.0
"""How often a reader without lock file, when busy, tries to make use of one that has appeared."""


def commit_lmdb(txn: Any) -> None:
    """The one call that commits: a seam through which tests make commits fail."""
    txn.commit()


class Mark(Enum):
    """What is known of the clean mark."""

    UNKNOWN = 0
    OFF = 1
    DURABLY_OFF = 2


class SharedEnvironment:
    """See the module's text. Made by `registry` only."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lifecycle = threading.RLock()
        self.handles = 0
        self.full_handles = 0
        self.finished = False
        self.may_write = False
        """Whether a handle is open for writing; `mode` tells whether liblmdb is, too, by now."""
        self.poisoned: str | None = None
        self.descriptor = -1
        """Of the data file: carries the presence lock; -1 before the first opening and at the
        end."""
        self.on_finish: Callable[[SharedEnvironment], None] = lambda _: None
        self.writer = WriterLock(path)
        self.gate = Gate(path)
        self.environment: Any = None
        self.map_size: int | None = None
        self.mode = Mode(readonly=True, lock=False, relaxed=False)
        self._process = os.getpid()
        self._tables: dict[str, Any] = {}
        self.epoch = 0
        """Grows whenever the map has moved: addresses taken in one epoch end with it."""
        self._unregistered: UnregisteredReaders | None = None
        self._next_join = 0.0
        self._mark = Mark.UNKNOWN

    # -- opening and closing: the caller holds ``lifecycle`` -----------------------------------

    def open(self, mode: Mode) -> None:
        """Open the environment; the presence lock is held on ``descriptor``."""
        self.environment = open_lmdb(self.path, mode, self.map_size)
        try:
            if mode.lock:
                self.environment.reader_check()
            if mode.lock and self.may_write:
                # Opened after liblmdb's own and closed after it: see `filelock`.
                flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
                self.writer.descriptor = os.open(lock_path(self.path), flags)
            opened = self._open_tables(mode)
        except BaseException:
            self.close()
            raise
        if not opened:
            # Somebody else is writing. Reading need not wait for that; `begin_write` will.
            self.close()
            self.open(dataclasses.replace(mode, readonly=True))
            return
        self.mode = mode
        self.epoch += 1
        self._unregistered = None if mode.lock else UnregisteredReaders(self.descriptor)
        self._mark = Mark.UNKNOWN

    def _open_tables(self, mode: Mode) -> bool:
        """False if that takes the writer's lock, and another process has it."""
        if mode.readonly or self.writer.held_by_this_thread:
            self._tables = open_tables(self.environment, self.path)
            return True
        try:
            self.writer.acquire(_WRITER_SECONDS)
        except BusyError:
            return False
        try:
            self._tables = open_tables(self.environment, self.path)
        finally:
            self.writer.release()
        return True

    def close(self) -> None:
        """Close the environment but stay present. No transaction may be open."""
        environment, self.environment = self.environment, None
        if environment is not None:
            environment.close()
        descriptor, self.writer.descriptor = self.writer.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def reopen(self, mode: Mode, *, seconds: float = DRAIN_SECONDS) -> None:
        """Open the environment in another mode. Raises `BusyError` if transactions stay open."""
        with self.gate.shut(own=0, seconds=seconds):
            self.close()
            self.open(mode)

    def add_handle(self, *, full: bool) -> None:
        self.handles += 1
        self.full_handles += full

    def drop_handle(self, *, full: bool) -> None:
        """A handle was closed. Transactions still open keep the environment until they end."""
        with self.lifecycle:
            self.handles -= 1
            self.full_handles -= full
            self._finish_if_unused()

    def _finish_if_unused(self) -> None:
        with self.lifecycle:
            if not self.handles and not self.finished and self.gate.close_if_empty():
                self.finish()

    def finish(self) -> None:
        """Leave the file: who leaves last removes the lock file and sets the clean mark."""
        self.finished = True
        clean = not self.mode.readonly and self.poisoned is None and self.environment is not None
        if clean and self.mode.relaxed:
            try:
                self.environment.sync(True)
            except (lmdb.Error, OSError):
                clean = False
        self.close()
        descriptor, self.descriptor = self.descriptor, -1
        try:
            # A reader without lock file leaves everything as it is.
            if self.mode.lock and descriptor >= 0 and still_names(self.path, descriptor):
                with contextlib.suppress(OSError):
                    if try_flock(descriptor, exclusive=True):
                        remove_lock_file(self.path)
                        if clean:
                            cleanmark.mark(descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            self.on_finish(self)

    # -- transactions --------------------------------------------------------------------------

    @property
    def tables(self) -> Mapping[str, Any]:
        return self._tables

    def in_own_process(self) -> bool:
        """False in a child that inherited this object through ``fork``: nothing is touched
        there."""
        return os.getpid() == self._process

    def begin_read(self) -> ReadTransaction:
        """Raises `ClosedError` in a forked child, `BusyError` if the reader table is full."""
        if os.getpid() != self._process:
            raise self.forked()
        if self._unregistered is not None:
            self._join_lock_file()
        return ReadTransaction(self, self._begin(write=False))

    def begin_write(self, timeout: float | None) -> WriteTransaction:
        """Raises `BusyError` after ``timeout`` seconds (None: never), `ReadOnlyError`,
        `WriteFailedError` if the handle is poisoned, `ClosedError` in a forked child.
        """
        if os.getpid() != self._process:
            raise self.forked()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._become_writer(deadline, timeout)
        try:
            self._refuse_if_unwritable()  # who had the lock may have failed
            left = None if deadline is None else deadline - time.monotonic()
            wait_for_unregistered_readers(self.descriptor, self.path, left)
            self._take_mark_off()
            return WriteTransaction(self, self._begin(write=True))
        except BaseException:
            self.writer.release()
            raise

    def _become_writer(self, deadline: float | None, timeout: float | None) -> None:
        """Take the writer's lock, with liblmdb open for writing."""
        while True:
            self._refuse_if_unwritable()
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            self.writer.acquire(left, told=timeout)
            if not self.mode.readonly:
                return
            # Opened for reading while another process wrote (see `open`). Opening again drops the
            # lock, hence the loop.
            self.writer.release()
            with self.lifecycle:
                if self.mode.readonly:
                    self.reopen(Mode(readonly=False, lock=True, relaxed=self.mode.relaxed))

    def _refuse_if_unwritable(self) -> None:
        if self.poisoned is not None:
            raise WriteFailedError(
                f"{self.path}: refusing to write after an earlier failure ({self.poisoned}); "
                "close all handles and reopen the file"
            )
        if not self.may_write:
            raise ReadOnlyError(f"{self.path}: opened with readonly=True")

    def _take_mark_off(self) -> None:
        if self._mark is Mark.DURABLY_OFF:
            return
        if self._mark is Mark.UNKNOWN:
            self._mark = Mark.OFF if cleanmark.unmark(self.descriptor) else Mark.DURABLY_OFF
        if self._mark is Mark.OFF:
            try:
                os.fsync(self.descriptor)
            except OSError as error:
                raise self.failed_write(error, "committing") from error
            self._mark = Mark.DURABLY_OFF

    def _begin(self, *, write: bool) -> Any:
        """A transaction of liblmdb, counted by the gate."""
        retried = False
        while True:
            self.gate.enter()
            unregistered = self._unregistered  # changes only while nobody is inside
            if unregistered is not None:
                unregistered.enter()
            try:
                environment = self.environment
                if environment is None:
                    raise ClosedError(f"{self.path}: closed, since it could not be reopened")
                if write:
                    # Slots of killed readers would keep freed pages from being used again.
                    environment.reader_check()
                return environment.begin(write=write, buffers=True)
            except BaseException as error:
                self.end_read()
                if isinstance(error, lmdb.MapResizedError):
                    growth.adopt(self)
                elif isinstance(error, lmdb.PanicError) and not write and not retried:
                    retried = True
                    self._go_on_reading()
                elif isinstance(error, lmdb.ReadersFullError) and not retried:
                    retried = True
                    self.environment.reader_check()
                elif isinstance(error, (lmdb.Error, OSError)):
                    doing = "beginning a transaction"
                    failed = self.failed_write if write else self._failed_read
                    raise failed(error, doing) from error
                else:
                    raise

    def _go_on_reading(self) -> None:
        """After a failed write of the meta page liblmdb refuses even reads, until opened anew."""
        with self.lifecycle:
            if not self.mode.readonly:
                self.poisoned = self.poisoned or "the last commit could not be written"
                self.reopen(dataclasses.replace(self.mode, readonly=True))

    def end_read(self) -> None:
        """A read transaction has ended."""
        if self._unregistered is not None:
            self._unregistered.leave()
        self._leave()

    def end_write(self) -> None:
        """The write transaction has ended."""
        self.writer.release()
        self._leave()

    def _leave(self) -> None:
        if self.gate.leave() == 0 and self.handles == 0:
            self._finish_if_unused()

    def commit(self, transaction: Any) -> None:
        """Commit; all of it happened on return, nothing on an error (see the module's text)."""
        try:
            commit_lmdb(transaction)
            if self.mode.relaxed and self.full_handles:
                # One environment, two promises: the stronger one is kept.
                self.environment.sync(True)
        except (lmdb.Error, OSError) as error:
            raise self.failed_write(error, "committing") from error

    def failed_write(self, error: BaseException, doing: str) -> Exception:
        """Poison if the failure demands it; the error to raise."""
        if isinstance(error, Error):
            return error
        full = is_full(error, self.path)
        unsure = self.mode.relaxed and doing == "committing"
        harmless = full and (not unsure or isinstance(error, lmdb.MapFullError))
        harmless = harmless and not self._is_fatal()
        poisons = doing == "committing" or code_of(error) == errno.EIO
        if not harmless and (poisons or isinstance(error, lmdb.PanicError)):
            self.poisoned = self.poisoned or f"{doing}: {error}"
            return WriteFailedError(
                f"{self.path}: {doing} failed ({error}); nothing of this transaction counts as "
                "stored. Check the disk, then close all handles and reopen the file"
            )
        return translate(error, doing, self.path, written=self.path)

    def _is_fatal(self) -> bool:
        """Whether liblmdb has given up on the environment: it failed to write the meta page."""
        try:
            self.environment.begin().abort()
        except lmdb.PanicError:
            return True
        except lmdb.Error:
            pass
        return False

    def _failed_read(self, error: BaseException, doing: str) -> Exception:
        return translate(error, doing, self.path)

    def forked(self) -> ClosedError:
        return ClosedError(f"{self.path}: opened before fork(); reopen the file in the child")

    # -- readers without lock file -------------------------------------------------------------

    def _join_lock_file(self) -> None:
        """A lock file has appeared, so a writer may be there: open again with the reader table."""
        lock = lock_path(self.path)
        if not os.path.exists(lock) or not os.access(lock, os.R_OK | os.W_OK):
            return
        now = time.monotonic()
        if self.gate.inside and now < self._next_join:
            return
        # Until it succeeds the lock of `UnregisteredReaders` makes the writer wait.
        self._next_join = now + _JOIN_SECONDS
        with self.lifecycle:
            if self._unregistered is None or self.finished:
                return
            with contextlib.suppress(TimeoutError):
                self.reopen(Mode(readonly=True, lock=True, relaxed=False), seconds=0.05)

    # -- address space -------------------------------------------------------------------------

    def pages(self) -> tuple[int, int]:
        """Bytes of a page and the number of the last one."""
        return self.environment.stat()["psize"], self.environment.info()["last_pgno"]

    def has_room(self, size: int) -> bool:
        """See `growth.has_room`."""
        return growth.has_room(self, size)

    def make_room(self, size: int) -> Any:
        """See `growth.make_room`."""
        return growth.make_room(self, size)
