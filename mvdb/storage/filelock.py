"""Locks on files that a killed process cannot leave behind.

Three locks, three jobs (the whole protocol: `presence`):

presence
    ``flock`` on the data file: shared by all processes that have it open, exclusive for one that
    checks it at rest, opens it alone, or removes leftovers after the last close.
writer
    One writer across threads and processes, with a timeout, which liblmdb's own mutex lacks. An
    open-file-description lock on one far byte of the data file itself, so that it holds under
    whatever name the file was opened. Where the system has none, a POSIX record lock on one far
    byte of the lock file: not ``flock``, because on BSD and macOS the two kinds exclude each other
    and liblmdb keeps a record lock on byte 0 of that file. A process that closes *any* descriptor
    of the lock file drops *all* its record locks there, liblmdb's too; so ours is opened before the
    environment and stays open until after it is closed.
unregistered readers
    A reader that cannot or may not use the lock file is invisible to writers, who would reuse pages
    under it. Where the system has open-file-description locks (Linux) such a reader holds one on a
    far byte of the data file while it reads, and writers wait for it.

Where ``fcntl`` is missing (Windows) presence and the writer's lock reach only as far as this
process; between processes liblmdb's mutex still admits one writer at a time, but waits without a
timeout.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from mvdb.errors import BusyError
from mvdb.threads import shield

if sys.platform != "win32":
    import fcntl

HAVE_FCNTL: Final = sys.platform != "win32"
HAVE_OFD: Final = sys.platform == "linux" and struct.calcsize("P") == 8

# Far beyond the bytes liblmdb locks (0, and one per process id) and beyond any file.
WRITER_BYTE: Final = 0x7000_0000_0000_0000
_READER_BYTE: Final = 0x7000_0000_0000_0001
_LINUX_FLOCK: Final = "hhqqi4x"
_POLL_FIRST: Final = 0.0005
_POLL_LONGEST: Final = 0.02
_RESCUE_SECONDS: Final = 0.05
"""Interval at which a waiting writer tries to rescue a lost transaction."""
_WOULD_BLOCK: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class Backoff:
    """Pauses between two attempts at a lock: 0.5 ms at first, 20 ms at most."""

    __slots__ = ("_pause",)

    def __init__(self) -> None:
        self._pause = _POLL_FIRST

    def wait(self, deadline: float | None = None) -> bool:
        """Sleep; False, without sleeping, once ``deadline`` (monotonic seconds) has passed."""
        shield.check()
        pause = self._pause
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            pause = min(pause, left)
        time.sleep(pause)
        self._pause = min(self._pause * 1.5, _POLL_LONGEST)
        return True


def poll(condition: Callable[[], bool], deadline: float | None = None) -> bool:
    """Wait until ``condition`` holds; False once ``deadline`` (monotonic seconds) has passed."""
    pauses = Backoff()
    while not condition():
        if not pauses.wait(deadline):
            return False
    return True


def try_flock(descriptor: int, *, exclusive: bool) -> bool:
    """Take (or convert to) a ``flock`` without waiting; False if another holder prevents it.

    A conversion that fails may have lost the lock held before. Raises `OSError` where the file
    system has no such locks. Without ``fcntl`` it always succeeds.
    """
    if sys.platform == "win32":
        return True
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _WOULD_BLOCK:
            return False
        raise
    return True


def share_flock(descriptor: int) -> None:
    """Take, or convert to, a shared ``flock``; waits for an exclusive holder."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def drop_flock(descriptor: int) -> None:
    """Give a ``flock`` back; never fails."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def lock_file_in_use(lock_path: str) -> bool:
    """Whether some *other* process has the database open through liblmdb right now.

    Asks for the record lock liblmdb keeps on byte 0. Only to be called while this process has no
    environment on the file: opening and closing the lock file would drop its locks.
    """
    if sys.platform == "win32":
        return _lock_file_held_open(lock_path)
    try:
        # O_NONBLOCK: a FIFO of that name must not hang.
        descriptor = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return is_record_locked(descriptor, 0)
    finally:
        os.close(descriptor)


def is_record_locked(descriptor: int, byte: int) -> bool:
    """Whether *another* process has a POSIX record lock on a byte of the file."""
    if sys.platform == "linux" and HAVE_OFD:
        return _is_locked(descriptor, fcntl.F_GETLK, byte, 1)
    if sys.platform == "darwin":
        layout = "qqihh"  # start, length, process, type, whence
        query = struct.pack(layout, byte, 1, 0, fcntl.F_WRLCK, os.SEEK_SET)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, query)
        return bool(struct.unpack(layout, answer)[3] != fcntl.F_UNLCK)
    return False


def _lock_file_held_open(lock_path: str) -> bool:
    # Windows refuses to delete a file that is open, and an unused lock file is worth nothing.
    try:
        os.remove(lock_path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


class WriterLock:
    """Admits one writer at a time across threads and, where ``fcntl`` exists, processes.

    Thread-safe. ``rescue`` is called now and then while a thread waits for another: the transaction
    of that one may have been lost.
    """

    def __init__(self, path: str, rescue: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._rescue = rescue
        self._thread_lock = threading.Lock()
        self._owner: threading.Thread | None = None
        self._descriptor: int | None = None

    def attach(self, descriptor: int) -> None:
        """Exclude other processes by this file from now on, opened for writing: where there are
        open-file-description locks the data file itself, else the lock file. Takes it over."""
        self._descriptor = descriptor

    def detach(self) -> None:
        """Close that file: exclusion within this process only, until another one is attached."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def acquire(self, timeout: float | None, *, told: float | None = None) -> None:
        """Become the writer, waiting up to ``timeout`` seconds (None: for ever). ``told`` is the
        time to name in messages, if it differs.

        Raises `BusyError` when time is up, and at once when this very thread is the writer already.
        """
        self.refuse_if_held()
        told = timeout if told is None else told
        deadline = None if timeout is None else time.monotonic() + max(timeout, 0.0)
        self._acquire_thread(deadline, told)
        try:
            self._acquire_file(deadline, told)
        except BaseException:
            self._thread_lock.release()
            raise
        self._owner = shield.caller()

    def _acquire_thread(self, deadline: float | None, told: float | None) -> None:
        while not self._thread_lock.acquire(timeout=_slice(deadline)):
            shield.check()
            self._rescue()
            if deadline is not None and time.monotonic() >= deadline:
                if self._thread_lock.acquire(blocking=False):
                    return
                raise BusyError(
                    f"{self._path}: another thread of this process kept writing for {told} s"
                )

    def _acquire_file(self, deadline: float | None, told: float | None) -> None:
        # Polling, not F_SETLKW: the kernel's deadlock detection takes two threads that each wait
        # for the other's file for a deadlock of their processes.
        if not poll(lambda: self._set_file(locked=True), deadline):
            raise BusyError(f"{self._path}: another process kept writing for {told} s")

    def _set_file(self, *, locked: bool) -> bool:
        """Lock or unlock the file without waiting; False if another process has it locked."""
        if sys.platform == "win32" or self._descriptor is None:
            return True
        try:
            if HAVE_OFD:
                set_ofd(self._descriptor, fcntl.F_WRLCK if locked else fcntl.F_UNLCK, WRITER_BYTE)
            else:
                kind = fcntl.LOCK_EX | fcntl.LOCK_NB if locked else fcntl.LOCK_UN
                fcntl.lockf(self._descriptor, kind, 1, WRITER_BYTE)
        except OSError as error:
            if error.errno in _WOULD_BLOCK:
                return False
            raise
        return True

    def take_over(self) -> None:
        """Become the writer after a thread that ended as the writer."""
        self._owner = shield.caller()

    def release(self) -> None:
        """Let the next writer in."""
        self._owner = None
        with contextlib.suppress(OSError):
            self._set_file(locked=False)
        self._thread_lock.release()

    @property
    def held_by_this_thread(self) -> bool:
        return self._owner is shield.caller()

    def refuse_if_held(self) -> None:
        """Raises `BusyError` when this thread is the writer."""
        if self.held_by_this_thread:
            raise BusyError(
                f"{self._path}: this thread already has a write transaction open; "
                "commit or abort it first"
            )


def _slice(deadline: float | None) -> float:
    """Seconds to wait before the next rescue."""
    return (
        _RESCUE_SECONDS
        if deadline is None
        else min(_RESCUE_SECONDS, max(deadline - time.monotonic(), 0.0))
    )


def show_reading(descriptor: int, reading: bool) -> None:
    """Make reads that liblmdb's reader table does not show visible to writers, by a lock on the
    data file. Never waits for long: writers only look, they do not hold.

    Does nothing where open-file-description locks are missing: there a writer that arrives during a
    read transaction of a reader without lock file may reuse its pages after its second commit.
    """
    if sys.platform == "linux" and HAVE_OFD:
        # A file system without such locks (some network ones) is no reason to refuse reading.
        with contextlib.suppress(OSError):
            set_ofd(descriptor, fcntl.F_RDLCK if reading else fcntl.F_UNLCK, _READER_BYTE)


def wait_for_unregistered_readers(descriptor: int, path: str, timeout: float | None) -> None:
    """Return once no reader without lock file is inside a read transaction.

    Raises `BusyError` after ``timeout`` seconds (None: waits for ever). A reader that comes later
    is safe: it sees the latest commit, whose pages the transaction about to begin does not reuse.
    """
    deadline = None if timeout is None else time.monotonic() + max(timeout, 0.0)
    if not poll(lambda: not _is_read_unregistered(descriptor), deadline):
        raise BusyError(
            f"{path}: a read-only process without access to the lock file kept a read "
            f"transaction open for {timeout} s"
        )


def _is_read_unregistered(descriptor: int) -> bool:
    try:
        return is_ofd_locked(descriptor, _READER_BYTE, 1)
    except OSError:
        return False  # a file system without such locks


def set_ofd(descriptor: int, kind: int, byte: int) -> None:
    """Set (or, ``F_UNLCK``, give back) an open-file-description lock on one byte, without waiting.

    Linux. Raises `OSError`: `BlockingIOError` or `PermissionError` if others are in the way."""
    if sys.platform == "linux":
        request = struct.pack(_LINUX_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)


def is_ofd_locked(descriptor: int, first: int, size: int) -> bool:
    """Whether anything else than this open file has a lock on any of these bytes. Linux, 64 bits;
    elsewhere False."""
    if sys.platform == "linux" and HAVE_OFD:
        return _is_locked(descriptor, fcntl.F_OFD_GETLK, first, size)
    return False


def _is_locked(descriptor: int, command: int, first: int, size: int) -> bool:
    if sys.platform == "win32":
        return False
    query = struct.pack(_LINUX_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, first, size, 0)
    answer = fcntl.fcntl(descriptor, command, query)
    return bool(struct.unpack(_LINUX_FLOCK, answer)[0] != fcntl.F_UNLCK)
