"""Lifecycle of an open file in one process: its states from the first handle to the end.

NEW ──open──▶ OPEN ──poison──▶ POISONED        FINISHED: left, by `finish`, from any state
              │ ▲                │ ▲
          shut│ │open        shut│ │open
              ▼ │                ▼ │
              SHUT               SHUT
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final

import lmdb

from mvdb.errors import BusyError, PathChangedError
from mvdb.limits import Limits
from mvdb.storage import cleanmark
from mvdb.storage.atomic_file import publish_over
from mvdb.storage.claims import Claim
from mvdb.storage.drain import Drain
from mvdb.storage.filelock import HAVE_OFD, WriterLock, show_reading, try_flock
from mvdb.storage.growth import GrowingMap
from mvdb.storage.open_file import OpenFile
from mvdb.storage.opening import Mode, open_lmdb, open_tables
from mvdb.storage.presence import (
    lock_path,
    open_data_file,
    remove_lock_file,
    share_presence,
    still_names,
)

_WRITER_SECONDS: Final = 0.1
"""How long opening for writing waits for another writer before it opens for reading at first."""


class State(Enum):
    """See the module's text."""

    NEW = "not opened yet"
    OPEN = "open"
    POISONED = "open, and refuses to write after a failure"
    SHUT = "to be opened again by the next transaction"
    FINISHED = "left"


class ShutError(BusyError):
    """The state is SHUT: the file could not be opened again. The next transaction tries."""


class Lifecycle:
    """State machine of one file. REQUIRES of methods that change the state: ``lock`` is held. It is
    taken before the drain.

    ``on_move`` is called with the descriptor of a file that has replaced this one, and with None
    at the end."""

    def __init__(
        self,
        path: str,
        map_size: int | None,
        limits: Limits,
        writer: WriterLock,
        drain: Drain,
        on_move: Callable[[int | None], None],
    ) -> None:
        self.path = path
        self.limits = limits
        self.lock = threading.RLock()
        self._drain = drain
        self._on_move = on_move
        self._map_size = map_size
        self._writer = writer
        self._descriptor = -1
        self._may_write = False
        self._handles: list[bool] = []
        """For each, whether it promises durability "full"."""
        self._state = State.NEW
        self._poison: str | None = None
        self._file: OpenFile | None = None
        self._mode = Mode(readonly=True, lock=False, relaxed=False)

    @property
    def state(self) -> State:
        return self._state

    @property
    def poisoned(self) -> str | None:
        """The failure after which writes are refused; None while writing is possible."""
        return self._poison

    @property
    def mode(self) -> Mode:
        """The mode in which liblmdb has the file open, or had it open last."""
        return self._mode

    @property
    def open_file(self) -> OpenFile | None:
        """None unless OPEN or POISONED."""
        return self._file

    @property
    def file(self) -> OpenFile:
        """The same for callers that count as inside or hold ``lock``. Raises `ShutError`."""
        if self._file is None:
            raise ShutError(f"{self.path}: could not be opened again just now; try again")
        return self._file

    @property
    def descriptor(self) -> int:
        """Of the data file, with the presence lock."""
        return self._descriptor

    @property
    def may_write(self) -> bool:
        """Whether a handle is open for writing. liblmdb may still be open for reading."""
        return self._may_write

    # -- transitions ---------------------------------------------------------------------------

    def hold(self, descriptor: int) -> None:
        """Take over ``descriptor`` of the data file, on which the presence lock is or will be."""
        self._descriptor = descriptor

    def open(self, mode: Mode | None = None) -> None:
        """NEW or SHUT to OPEN or POISONED; without ``mode`` as before. REQUIRES: the presence lock.

        Opens for reading only when another process has the writer's lock, which is needed to open
        tables for writing: reading need not wait for it. Raises `LockFileError`,
        `PathChangedError` if the path leads elsewhere by now; the state stays."""
        self._file = self._opened(mode or self._mode)
        self._mode = self._file.mode
        self._state = State.OPEN if self._poison is None else State.POISONED

    def open_for_reading(self) -> None:
        """The same for reading: with the lock file, if there is one that can be used."""
        if can_use_lock_file(self.path):
            with contextlib.suppress(lmdb.LockError, lmdb.ReadonlyError, OSError):
                self.open(Mode(readonly=True, lock=True, relaxed=False))
                return
        self.open(Mode(readonly=True, lock=False, relaxed=False))

    def shut(self) -> None:
        """Any state to SHUT: still present at the file. REQUIRES: no transaction is open."""
        file, self._file = self._file, None
        self._state = State.SHUT
        if file is not None:
            file.close()

    def reopen(self, mode: Mode | None = None) -> None:
        """Shut and open, in another mode if one is given. Raises `BusyError` if transactions stay
        open."""
        with self._drain.emptied(seconds=self.limits.drain_seconds):
            before = self._mode
            self.shut()
            try:
                self.open(mode)
            except BaseException:
                self.open(before)
                raise

    def poison(self, reason: str) -> None:
        """OPEN to POISONED, for good; the first reason counts."""
        self._poison = self._poison or reason
        if self._state is State.OPEN:
            self._state = State.POISONED

    def widen(self, mode: Mode) -> None:
        """Open the file for writing that is open for reading. Raises as `reopen`."""
        self._may_write = True
        try:
            self.reopen(mode)
        except BaseException:
            self._may_write = False
            raise

    def _finish(self) -> None:
        """To FINISHED: the last process removes the lock file and sets the clean mark."""
        file, mode = self._file, self._mode
        clean = file is not None and not mode.readonly and self._poison is None
        if file is not None and clean and mode.relaxed:
            try:
                file.environment.sync(True)
            except (lmdb.Error, OSError):
                clean = False
        self.shut()
        self._state = State.FINISHED
        descriptor = self.descriptor
        self.hold(-1)
        try:
            # A reader without lock file leaves everything as it is.
            if mode.lock and descriptor >= 0 and still_names(self.path, descriptor):
                with contextlib.suppress(OSError):
                    if try_flock(descriptor, exclusive=True):
                        remove_lock_file(self.path)
                        if clean:
                            cleanmark.mark(descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            self._on_move(None)

    def leave_to_parent(self) -> None:
        """In a forked child. Copies of the parent's descriptors would keep its presence lock alive
        after its death. Closing them gives up nothing of the parent's: flock goes with the last
        copy, record locks with the process that set them."""
        if self._file is not None:
            self._file.leave_to_parent()
        with contextlib.suppress(OSError):
            self._writer.detach()
        descriptor = self.descriptor
        self.hold(-1)
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def refuse_if_displaced(self) -> None:
        """Raises `PathChangedError` unless the path still leads to the open file."""
        if not still_names(self.path, self._descriptor):
            raise PathChangedError(
                f"{self.path}: the file was moved, deleted or replaced while it was open; nothing "
                "was written. Close it, and open what you mean to write to"
            )

    # -- opening -------------------------------------------------------------------------------

    def _opened(self, mode: Mode) -> OpenFile:
        with contextlib.ExitStack() as closing:
            claim = self._claim(closing) if mode.lock else None
            environment = open_lmdb(self.path, mode, self._map_size, self.limits)
            closing.callback(environment.close)
            self._check_names(claim)
            if mode.lock:
                environment.reader_check()
            tables = self._open_tables(environment, mode)
            if tables is not None:
                growing = GrowingMap(
                    self.path, environment, self._drain, self._map_size, self.limits
                )
                self._drain.tell(None if mode.lock else partial(show_reading, self._descriptor))
                return OpenFile(self.path, environment, tables, mode, growing, closing.pop_all())
        return self._opened(dataclasses.replace(mode, readonly=True))

    def _claim(self, closing: contextlib.ExitStack) -> Claim:
        claim = Claim(self._descriptor, lock_path(self.path), self.path)
        closing.callback(claim.drop)
        if self._may_write:
            if HAVE_OFD:
                self._writer.attach(open_data_file(self.path, os.O_RDWR))
            else:
                flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
                self._writer.attach(os.open(lock_path(self.path), flags))
            closing.callback(self._writer.detach)
        return claim

    def _check_names(self, claim: Claim | None) -> None:
        """That liblmdb has opened the file which is locked, and the lock file which is claimed:
        it opens both by name."""
        self.refuse_if_displaced()
        if claim is not None and not claim.holds():
            raise PathChangedError(
                f"{self.path}: its lock file was exchanged at the moment of opening; try again"
            )

    def _open_tables(self, environment: Any, mode: Mode) -> dict[str, Any] | None:
        """None if that takes the writer's lock, and another process has it."""
        if mode.readonly or self._writer.held_by_this_thread:
            return open_tables(environment, self.path)
        try:
            self._writer.acquire(_WRITER_SECONDS)
        except BusyError:
            return None
        try:
            return open_tables(environment, self.path)
        finally:
            self._writer.release()

    # -- handles -------------------------------------------------------------------------------

    def add_handle(self, mode: Mode) -> None:
        self._handles.append(not mode.relaxed)
        if self._state is State.NEW:
            self._may_write = not mode.readonly

    def drop_handle(self, *, full: bool) -> None:
        """A handle was closed. Transactions still open keep the environment until they end."""
        with self.lock:
            self._handles.remove(full)
            self.finish_if_unused()

    @property
    def is_used(self) -> bool:
        """Whether it has handles."""
        return bool(self._handles)

    @property
    def is_durable(self) -> bool:
        """Whether a handle promises that a commit that has returned survives power loss."""
        return any(self._handles)

    def finish_if_unused(self) -> None:
        """Finish when the last handle was closed and the last transaction has ended."""
        with self.lock:  # before looking: a handle may be on its way
            if not self._handles:
                self.finish_if_empty()

    def finish_if_empty(self) -> None:
        """Finish unless that was done, or transactions are open."""
        with self.lock:
            if self._state is not State.FINISHED and self._drain.close_if_empty():
                self._finish()

    # -- replacement by another file: the caller is the writer ---------------------------------

    def become_alone(self) -> None:
        """Turn the presence lock into an exclusive one. Raises `BusyError` if others are
        present."""
        if not try_flock(self.descriptor, exclusive=True):
            # The attempt has dropped the shared lock. Meanwhile another process may have left as
            # the last one and removed the lock file, which must then be made again.
            self.let_others_in()
            raise BusyError(
                f"{self.path}: other processes have the file open; it cannot be replaced"
            )

    def let_others_in(self) -> None:
        """Share the presence lock again."""
        if not self.share_presence() and self._file is not None:
            self.reopen()

    def share_presence(self) -> bool:
        """See `presence.share_presence`."""
        return share_presence(self.path, self.descriptor, lock_file=self._mode.lock)

    def exchange(self, path: str, descriptor: int) -> None:
        """Replace this file by the file ``path`` once no transaction is open. Takes over
        ``descriptor``, its presence lock, taken exclusively. REQUIRES: alone."""
        old = descriptor
        try:
            with self._drain.emptied(seconds=self.limits.drain_seconds):
                self.refuse_if_displaced()
                self.shut()
                try:
                    remove_lock_file(self.path)
                    self.refuse_if_displaced()
                    publish_over(path, self.path)
                    old = self.descriptor
                    self.hold(descriptor)
                    self._on_move(descriptor)
                finally:
                    self.open()
        finally:
            os.close(old)


def can_use_lock_file(path: str) -> bool:
    """Whether there is a lock file that this process may read and write."""
    return os.access(lock_path(path), os.R_OK | os.W_OK)
