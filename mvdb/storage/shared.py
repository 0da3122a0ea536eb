"""The one LMDB environment a process has on a file, shared by all its handles.

liblmdb forbids a second one (closing it would drop the locks of the first), so `registry` keeps one
`SharedEnvironment` per inode. It counts handles and transactions; the last of them closes it.

Thread contract: all methods may be called from any thread; those that change anything but the set
of read transactions run as a step of `shield`, which the callers see to. ``lifecycle`` is held
while a handle comes or goes and while the environment is opened, reopened or closed; it is taken
before the gate.

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
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

import lmdb

from mvdb.errors import (
    BusyError,
    ClosedError,
    Error,
    PathChangedError,
    ReadOnlyError,
    WriteFailedError,
)
from mvdb.storage import cleanmark, growth
from mvdb.storage.claims import Claim
from mvdb.storage.drain import Gate, Visit
from mvdb.storage.failures import code_of, is_full, translate
from mvdb.storage.filelock import (
    HAVE_OFD,
    UnregisteredReaders,
    WriterLock,
    try_flock,
    wait_for_unregistered_readers,
)
from mvdb.storage.opening import Mode, open_lmdb, open_tables
from mvdb.storage.presence import lock_path, open_data_file, remove_lock_file, still_names
from mvdb.storage.transaction import ReadTransaction, WriteTransaction
from mvdb.threads import shield

DRAIN_SECONDS: Final = 5.0
"""How long the gate waits for transactions of this process to end."""
_WRITER_SECONDS: Final = 0.1
"""How long opening for writing waits for another writer before it opens for reading at first."""
_JOIN_SECONDS: Final = 1.0
"""How often a reader without lock file, when busy, tries to make use of one that has appeared."""


def commit_lmdb(txn: Any) -> None:
    """The one call that commits: a seam through which tests make commits fail."""
    txn.commit()


class _NotOpen(Exception):
    """The environment is closed, since it could not be opened again."""


class Mark(Enum):
    """What is known of the clean mark."""

    UNKNOWN = 0
    OFF = 1
    DURABLY_OFF = 2


@dataclass
class OpenWrite:
    """The write transaction that is open: what it takes to end it when its owner does not.

    ``thread`` began it, and liblmdb lets nobody else end it. ``handle`` is what its owner holds, or
    has lost."""

    thread: threading.Thread
    raw: Any
    visit: Visit
    handle: Callable[[], WriteTransaction | None]


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
        self.writer = WriterLock(path, self._rescue)
        self.gate = Gate(path, self._lost)
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
        self._claim: Claim | None = None
        self._open_write: OpenWrite | None = None
        self.next_growth = 0

    # -- opening and closing: the caller holds ``lifecycle`` -----------------------------------

    def open(self, mode: Mode) -> None:
        """Open the environment; the presence lock is held on ``descriptor``.

        Raises `LockFileError`, `PathChangedError` if the path leads elsewhere by now."""
        try:
            if mode.lock:
                self._claim = Claim(self.descriptor, lock_path(self.path), self.path)
            if mode.lock and self.may_write:
                self.writer.descriptor = self._open_for_writer()
            self.environment = open_lmdb(self.path, mode, self.map_size)
            self._check_names()
            if mode.lock:
                self.environment.reader_check()
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
        self.next_growth = 0
        self._unregistered = None if mode.lock else UnregisteredReaders(self.descriptor)
        self.gate.hook(self._unregistered)
        self._mark = Mark.UNKNOWN

    def open_for_reading(self) -> None:
        """The same for reading: with the lock file, if there is one that can be used."""
        if self._may_use_lock_file():
            try:
                self.open(Mode(readonly=True, lock=True, relaxed=False))
                return
            except (lmdb.LockError, lmdb.ReadonlyError, OSError):
                pass  # there, but not to be used by us
        self.open(Mode(readonly=True, lock=False, relaxed=False))

    def _may_use_lock_file(self) -> bool:
        return os.access(lock_path(self.path), os.R_OK | os.W_OK)

    def _open_for_writer(self) -> int:
        """The file of the lock between writers: see `filelock`."""
        if not HAVE_OFD:
            return os.open(lock_path(self.path), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        return open_data_file(self.path, os.O_RDWR)

    def _check_names(self) -> None:
        """That liblmdb has opened the file which is locked, and the lock file which is claimed:
        it opens both by name."""
        if not still_names(self.path, self.descriptor):
            raise self.displaced()
        if self._claim is not None and not self._claim.holds():
            raise PathChangedError(
                f"{self.path}: its lock file was exchanged at the moment of opening; try again"
            )

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
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.drop()

    def reopen(self, mode: Mode, *, seconds: float = DRAIN_SECONDS) -> None:
        """Open the environment in another mode. Raises `BusyError` if transactions stay open."""
        with self.gate.shut(own=0, seconds=seconds):
            before = self.mode
            self.close()
            try:
                self.open(mode)
            except BaseException:
                self.open(before)
                raise

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
        if self._open_write is not None:
            self._end_lost_write()
        return ReadTransaction(self, *self._begin(write=False))

    def begin_write(self, timeout: float | None, *, told: float | None = None) -> WriteTransaction:
        """Raises `BusyError` after ``timeout`` seconds (None: never), `ReadOnlyError`,
        `PathChangedError`, `WriteFailedError` if the handle is poisoned, `ClosedError` in a forked
        child.
        """
        if os.getpid() != self._process:
            raise self.forked()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._end_lost_write()
        self._become_writer(deadline, timeout if told is None else told)
        try:
            self._refuse_if_unwritable()  # who had the lock may have failed
            self.refuse_if_displaced()
            left = None if deadline is None else deadline - time.monotonic()
            wait_for_unregistered_readers(self.descriptor, self.path, left)
            self._take_mark_off()
            growth.prepare(self)
            raw, visit = self._begin(write=True, deadline=deadline)
            transaction = WriteTransaction(self, raw, visit)
            self._open_write = OpenWrite(
                threading.current_thread(), raw, visit, weakref.ref(transaction)
            )
            return transaction
        except BaseException:
            self.writer.release()
            raise

    def let_go(self) -> None:
        """The raw write transaction is about to be rolled back by its owner."""
        if self._open_write is not None:
            self._open_write.raw = None

    def begin_again(self) -> Any:
        """After `let_go`: another raw transaction on the same state, as the writer all along, in a
        larger map. Raises `BusyError` if other transactions of this process stay open,
        `StorageFullError`."""
        growth.enlarge(self)
        try:
            raw = self.environment.begin(write=True, buffers=True)
        except lmdb.Error as error:
            raise self.failed_write(error, "beginning a transaction") from error
        if self._open_write is not None:
            self._open_write.raw = raw
        return raw

    def is_roomy(self) -> bool:
        """Whether no transaction of sane size can fill the map."""
        return growth.is_roomy(self)

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

    def refuse_if_displaced(self) -> None:
        """Raises `PathChangedError` unless the path still leads to the open file."""
        if not still_names(self.path, self.descriptor):
            raise self.displaced()

    def displaced(self) -> PathChangedError:
        return PathChangedError(
            f"{self.path}: the file was moved, deleted or replaced while it was open; nothing was "
            "written. Close it, and open what you mean to write to"
        )

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

    def _begin(self, *, write: bool, deadline: float | None = None) -> tuple[Any, Visit]:
        """A transaction of liblmdb, counted by the gate."""
        retried = False
        while True:
            visit = self.gate.enter(deadline)
            try:
                environment = self.environment
                if environment is None:
                    raise _NotOpen
                if write:
                    # Slots of killed readers would keep freed pages from being used again.
                    environment.reader_check()
                return environment.begin(write=write, buffers=True), visit
            except BaseException as error:
                self.leave(visit)
                if isinstance(error, _NotOpen):
                    shield.run(self._open_once_more)
                elif isinstance(error, lmdb.MapResizedError):
                    shield.run(partial(growth.adopt, self))
                elif isinstance(error, lmdb.PanicError) and not write and not retried:
                    retried = True
                    shield.run(self._go_on_reading)
                elif isinstance(error, lmdb.ReadersFullError) and not retried:
                    retried = True
                    self.environment.reader_check()
                elif isinstance(error, (lmdb.Error, OSError)):
                    doing = "beginning a transaction"
                    failed = self.failed_write if write else self._failed_read
                    raise failed(error, doing) from error
                else:
                    raise

    def _open_once_more(self) -> None:
        """After an opening that failed, and raised to somebody else."""
        with self.lifecycle, self.gate.shut(own=0, seconds=DRAIN_SECONDS):
            if self.environment is None:
                self.open(self.mode)

    def _go_on_reading(self) -> None:
        """After a failed write of the meta page liblmdb refuses even reads, until opened anew."""
        with self.lifecycle:
            if not self.mode.readonly:
                self.poisoned = self.poisoned or "the last commit could not be written"
                self.reopen(dataclasses.replace(self.mode, readonly=True))

    def leave(self, visit: Visit) -> None:
        """A transaction has ended."""
        if self.gate.leave(visit) and self.handles == 0:
            shield.run(self._finish_if_unused)

    def end_write(self, visit: Visit) -> None:
        """The write transaction has ended."""
        self._open_write = None
        self.writer.release()
        self.leave(visit)

    def _lost(self) -> None:
        """A transaction was collected: at any allocation, so nothing here may wait."""
        if self.handles == 0:
            shield.post(self._finish_if_unused)

    # -- write transactions that their owners have lost ----------------------------------------

    def lost_write(self) -> None:
        """A write transaction was collected, by whatever thread. Only the thread that began it can
        give liblmdb's mutex back."""
        open_write = self._open_write
        if open_write is not None:
            open_write.handle = lambda: None
            if shield.is_served_by(open_write.thread):
                shield.post(self._end_lost_write)
            else:
                self._end_lost_write()

    def _end_lost_write(self) -> None:
        """Ends a transaction that was collected, if this thread has begun it."""
        open_write = self._open_write
        if open_write is None or open_write.handle() is not None:
            return
        if open_write.thread is threading.current_thread():
            open_write.raw.abort()
            self.end_write(open_write.visit)

    def _rescue(self) -> None:
        """Ends a transaction whose thread has ended: the environment is opened again, since
        liblmdb's mutex would remain that thread's."""
        open_write = self._open_write
        if open_write is None or open_write.thread.is_alive():
            return
        with self.lifecycle:
            if self._open_write is not open_write:
                return
            with self.gate.shut(own=1, seconds=DRAIN_SECONDS):
                self._open_write = None
                self.writer.take_over()
                try:
                    # Before closing, which waits for it. The mutex stays its thread's all the same,
                    # and the next one to open the environment finds its owner dead.
                    open_write.raw.abort()
                    self.close()
                    self.gate.leave(open_write.visit)
                    self.open(self.mode)
                finally:
                    self.writer.release()

    # -- ending ----------------------------------------------------------------------------------

    def commit(self, transaction: Any) -> None:
        """Commit; all of it happened on return, nothing on an error (see the module's text).
        `refuse_if_displaced` was called just before."""
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
        if not self._may_use_lock_file():
            return
        now = time.monotonic()
        if now < self._next_join:
            return
        # Until it succeeds the lock of `UnregisteredReaders` makes the writer wait.
        self._next_join = now + _JOIN_SECONDS
        shield.run(self._join)

    def _join(self) -> None:
        with self.lifecycle:
            if self._unregistered is None or self.finished:
                return
            with contextlib.suppress(BusyError), self.gate.shut(own=0, seconds=0.05):
                self.close()
                self.open_for_reading()

    # -- address space -------------------------------------------------------------------------

    def pages(self) -> tuple[int, int]:
        """Bytes of a page and the number of the last one."""
        return self.environment.stat()["psize"], self.environment.info()["last_pgno"]
