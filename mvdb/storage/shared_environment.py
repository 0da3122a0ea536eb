"""The one LMDB environment a process has on a file, shared by all its handles.

liblmdb forbids a second one (closing it would drop the locks of the first), so `registry` keeps one
`SharedEnvironment` per inode. The last handle, or the last transaction after it, closes it.

Thread contract: all methods may be called from any thread. REQUIRES of methods that change more
than the set of read transactions: they run as a step of `shield`. ``lifecycle.lock`` is held while
a handle is opened or closed, and while the environment is opened, reopened or closed.

Order of a commit, and failures of one: `commit`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import lmdb

from mvdb.errors import BusyError, ClosedError, ReadOnlyError, WriteFailedError
from mvdb.limits import Limits
from mvdb.storage import commit
from mvdb.storage.drain import Drain, Entry
from mvdb.storage.failures import translate, translating
from mvdb.storage.filelock import WriterLock, wait_for_unregistered_readers
from mvdb.storage.lifecycle import Lifecycle, ShutError, can_use_lock_file
from mvdb.storage.open_file import OpenFile
from mvdb.storage.opening import Mode
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.storage.write_transaction import OpenWrite, WriteTransaction
from mvdb.threads import shield

_JOIN_SECONDS: Final = 1.0
"""Interval at which a busy reader without lock file tries to use one that has appeared."""
_JOIN_DRAIN_SECONDS: Final = 0.05


class SharedEnvironment:
    """See the module's text. Made by `registry` only.

    ``on_move`` is called with the descriptor of a file that has replaced this one, and with None
    at the end."""

    def __init__(
        self,
        path: str,
        map_size: int | None,
        limits: Limits,
        on_move: Callable[[SharedEnvironment, int | None], None],
    ) -> None:
        self.path = path
        self.writer = WriterLock(path, self._rescue)
        self.drain = Drain(path, self._entry_lost)
        self.lifecycle = Lifecycle(
            path, map_size, limits, self.writer, self.drain, partial(on_move, self)
        )
        self._process = os.getpid()
        self._open_write: OpenWrite | None = None
        self._next_join = 0.0

    # -- beginning transactions ----------------------------------------------------------------

    def in_own_process(self) -> bool:
        """False in a child that inherited this object through ``fork``; a child leaves it
        alone."""
        return os.getpid() == self._process

    def begin_read(self) -> ReadTransaction:
        """Raises `ClosedError` in a forked child, `BusyError` if the reader table is full."""
        self._refuse_if_forked()
        file = self.lifecycle.open_file
        if file is not None and not file.mode.lock:
            self._join_lock_file()
        if self._open_write is not None:
            self._end_lost_write()
        file, raw, entry = self._begin(write=False)
        return ReadTransaction(file, raw, entry, self.leave)

    def begin_write(self, timeout: float | None, *, told: float | None = None) -> WriteTransaction:
        """Raises `BusyError` after ``timeout`` seconds (None: never), `ReadOnlyError`,
        `PathChangedError`, `WriteFailedError` if the handle is poisoned, `ClosedError` in a forked
        child.
        """
        self._refuse_if_forked()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._end_lost_write()
        self._become_writer(deadline, timeout if told is None else told)
        try:
            self._refuse_if_unwritable()  # the writer before may have failed
            self._prepare_to_write(deadline)
            file, raw, entry = self._begin(write=True, deadline=deadline)
            write = OpenWrite(raw, entry)
            transaction = WriteTransaction(self, file, write)
            self._open_write = write
            return transaction
        except BaseException:
            self.writer.release()
            raise

    def _prepare_to_write(self, deadline: float | None) -> None:
        """Counts as inside: another thread may close the last handle, but not the file."""
        entry = self.drain.enter(deadline)
        try:
            self.lifecycle.refuse_if_displaced()
            left = None if deadline is None else deadline - time.monotonic()
            wait_for_unregistered_readers(self.lifecycle.descriptor, self.path, left)
            commit.take_mark_off(self.lifecycle)
            self.lifecycle.file.map.prepare()
        finally:
            self.leave(entry)

    def _become_writer(self, deadline: float | None, told: float | None) -> None:
        """Take the writer's lock, with liblmdb open for writing."""
        while True:
            self._refuse_if_unwritable()
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            self.writer.acquire(left, told=told)
            if self.lifecycle.open_file is not None and not self.lifecycle.mode.readonly:
                return
            # Shut, or opened for reading while another process wrote (see `Lifecycle.open`).
            # Opening again drops the lock, hence the loop.
            self.writer.release()
            with self.lifecycle.lock, translating("opening again", self.path):
                if self.lifecycle.open_file is None or self.lifecycle.mode.readonly:
                    self.lifecycle.reopen(
                        Mode(readonly=False, lock=True, relaxed=self.lifecycle.mode.relaxed)
                    )

    def _refuse_if_forked(self) -> None:
        if os.getpid() != self._process:
            raise ClosedError(f"{self.path}: opened before fork(); reopen the file in the child")

    def _refuse_if_unwritable(self) -> None:
        reason = self.lifecycle.poisoned
        if reason is not None:
            raise WriteFailedError(
                f"{self.path}: refusing to write after an earlier failure ({reason}); "
                "close all handles and reopen the file"
            )
        if not self.lifecycle.may_write:
            raise ReadOnlyError(f"{self.path}: opened with readonly=True")

    def _begin(self, *, write: bool, deadline: float | None = None) -> tuple[OpenFile, Any, Entry]:
        """A transaction of liblmdb, which counts as inside."""
        retried = False
        while True:
            entry = self.drain.enter(deadline)
            try:
                file = self.lifecycle.file
                if write:
                    # Slots of killed readers would keep freed pages from being used again.
                    file.environment.reader_check()
                return file, file.environment.begin(write=write, buffers=True), entry
            except BaseException as error:
                self.leave(entry)
                if not self._can_retry(error, write=write, retried=retried):
                    if not isinstance(error, (lmdb.Error, OSError)):
                        raise
                    doing = "beginning a transaction"
                    if write:
                        raise self.failed_write(error, doing) from error
                    raise translate(error, doing, self.path) from error
                retried = retried or isinstance(error, (lmdb.PanicError, lmdb.ReadersFullError))

    def _can_retry(self, error: BaseException, *, write: bool, retried: bool) -> bool:
        """Remove the cause of an error of `_begin`; False if there is no remedy."""
        if isinstance(error, ShutError):
            shield.run(self._open_once_more)
        elif isinstance(error, lmdb.MapResizedError):
            shield.run(self._adopt)
        elif isinstance(error, lmdb.PanicError) and not write and not retried:
            shield.run(self._go_on_reading)
        elif isinstance(error, lmdb.ReadersFullError) and not retried:
            with contextlib.suppress(ShutError):
                self.lifecycle.file.environment.reader_check()
        else:
            return False
        return True

    def _adopt(self) -> None:
        with self.lifecycle.lock, contextlib.suppress(ShutError):
            self.lifecycle.file.map.adopt()

    def _open_once_more(self) -> None:
        """After a failed opening, whose error another caller got."""
        seconds = self.lifecycle.limits.drain_seconds
        with self.lifecycle.lock, self.drain.emptied(seconds=seconds):
            if self.lifecycle.open_file is None:
                with translating("opening again", self.path):
                    self.lifecycle.open()

    def _go_on_reading(self) -> None:
        """After a failed write of the meta page liblmdb refuses reads too, until it is reopened."""
        with self.lifecycle.lock:
            if not self.lifecycle.mode.readonly:
                self.lifecycle.poison("the last commit could not be written")
                self.lifecycle.reopen(dataclasses.replace(self.lifecycle.mode, readonly=True))

    # -- ending transactions -------------------------------------------------------------------

    def leave(self, entry: Entry) -> None:
        """A transaction has ended."""
        if self.drain.leave(entry) and not self.lifecycle.is_used:
            shield.run(self.lifecycle.finish_if_unused)

    def _entry_lost(self) -> None:
        """A transaction was collected: at any allocation, so this may not wait."""
        if not self.lifecycle.is_used:
            shield.post(self.lifecycle.finish_if_unused)

    def end_write(self, write: OpenWrite) -> None:
        """The write transaction has ended."""
        self._open_write = None
        self.writer.release()
        self.leave(write.entry)

    def lost_write(self, write: OpenWrite) -> None:
        """A write transaction was collected, by any thread. Only the thread that began it can
        release liblmdb's mutex."""
        write.lose()
        if shield.is_served_by(write.thread):
            shield.post(self._end_lost_write)
        else:
            self._end_lost_write()

    def _end_lost_write(self) -> None:
        """Ends a transaction that was collected, if this thread has begun it."""
        write = self._open_write
        if write is not None and write.is_lost and write.thread is threading.current_thread():
            write.roll_back()
            self.end_write(write)

    def _rescue(self) -> None:
        """Ends a transaction whose thread has ended: the environment is opened again, since
        liblmdb's mutex would remain that thread's."""
        write = self._open_write
        if write is None or write.thread.is_alive():
            return
        with self.lifecycle.lock:
            if self._open_write is not write:
                return
            with self.drain.emptied(own=1, seconds=self.lifecycle.limits.drain_seconds):
                self._open_write = None
                self.writer.take_over()
                try:
                    # Before closing, which waits for it. The mutex stays its thread's all the same,
                    # and the next one to open the environment finds its owner dead.
                    write.roll_back()
                    self.lifecycle.shut()
                    self.drain.leave(write.entry)
                    self.lifecycle.open()
                finally:
                    self.writer.release()

    def commit(self, raw: Any) -> None:
        """See `commit.commit`."""
        commit.commit(self.lifecycle, raw)

    def failed_write(self, error: BaseException, doing: str) -> Exception:
        """See `commit.failed_write`."""
        return commit.failed_write(self.lifecycle, error, doing)

    def sync(self) -> None:
        """Make every commit durable. Runs as the writer, so that no commit intervenes; a failure
        poisons like that of a commit."""
        with self.begin_write(None):
            commit.sync(self.lifecycle)

    # -- readers without lock file -------------------------------------------------------------

    def _join_lock_file(self) -> None:
        """A lock file has appeared, so a writer may be there: open again with the reader table."""
        if not can_use_lock_file(self.path):
            return
        now = time.monotonic()
        if now < self._next_join:
            return
        # Until it succeeds the lock of `show_reading` makes the writer wait.
        self._next_join = now + _JOIN_SECONDS
        shield.run(self._join)

    def _join(self) -> None:
        with self.lifecycle.lock:
            file = self.lifecycle.open_file
            if file is None or file.mode.lock:
                return
            with contextlib.suppress(BusyError), self.drain.emptied(seconds=_JOIN_DRAIN_SECONDS):
                self.lifecycle.shut()
                self.lifecycle.open_for_reading()
