"""Agreement on the lock file: one per data file, whatever names that has.

liblmdb finds its lock file by the name of the data file. A file can have several names at a time
(hard links, a bind mount of the single file), get another while it is open, or lose its lock file;
then two processes would use two lock files, and with them two reader tables and two writers. So a
process that opens with a lock file claims it on the data file itself: a shared open-file-
description lock on a far byte, whose offset is a hash of the lock file's device and inode. Claims
of one lock file do not disturb each other, and a claim of another one is seen.

The claim comes before the search for others: of two processes that come at once at least one sees
the other. Where the system has no such locks (all but Linux) nothing is claimed, and `presence`
lets a process write only if it is alone and its lock file unused.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import Final

import xxhash

from mvdb.errors import LockFileError
from mvdb.storage.filelock import HAVE_OFD, is_ofd_locked, is_record_locked, set_ofd

if sys.platform != "win32":
    import fcntl

_FIRST: Final = 0x6000_0000_0000_0000
"""Far beyond any file, below the bytes of `filelock`."""
_BITS: Final = 48


class Claim:
    """A claim on the lock file ``path``, made on the data file ``descriptor`` of ``name``.

    Makes the lock file if there is none: only while this process has no environment on it, since
    closing a descriptor of the lock file drops the process's record locks there. Raises
    `LockFileError`."""

    def __init__(self, descriptor: int, path: str, name: str) -> None:
        self._descriptor = descriptor
        self._path = path
        self._name = name
        if not os.path.exists(path) and are_there(descriptor):
            raise self._refusal()  # before an empty lock file is left behind
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        lock = os.open(path, flags, 0o666)
        try:
            self._status = os.fstat(lock)
            if not stat.S_ISREG(self._status.st_mode):
                raise LockFileError(
                    f"{path}: not a regular file; it cannot be a lock file. Remove it"
                )
            _refuse_same_number(lock, name)
        finally:
            os.close(lock)
        if HAVE_OFD:
            self._make()

    def _make(self) -> None:
        place = _place(self._status)
        set_ofd(self._descriptor, fcntl.F_RDLCK, place)
        below, above = place - _FIRST, _FIRST + (1 << _BITS) - place - 1
        if is_ofd_locked(self._descriptor, _FIRST, below) or is_ofd_locked(
            self._descriptor, place + 1, above
        ):
            self.drop()
            raise self._refusal()

    def _refusal(self) -> LockFileError:
        return LockFileError(
            f"{self._name}: another process has the file open with another lock file: under "
            "another name (a hard link, a bind mount, before it was moved), or its lock file was "
            "deleted. Close it there, or open it under the same name; readonly=True works beside it"
        )

    def drop(self) -> None:
        """Give the claim back; the environment is closed."""
        if HAVE_OFD:
            set_ofd(self._descriptor, fcntl.F_UNLCK, _place(self._status))

    def holds(self) -> bool:
        """Whether the lock file is still the one that was claimed."""
        try:
            return os.path.samestat(os.stat(self._path), self._status)
        except OSError:
            return False


def are_there(descriptor: int) -> bool:
    """Whether another process has the data file open with a lock file, by whatever name."""
    return HAVE_OFD and is_ofd_locked(descriptor, _FIRST, 1 << _BITS)


def _place(status: os.stat_result) -> int:
    name = f"{status.st_dev} {status.st_ino}".encode("ascii")
    # Odd, so that the ranges below and above any offset are not empty.
    return _FIRST + ((xxhash.xxh3_64_intdigest(name) >> (64 - _BITS)) | 1)


def _refuse_same_number(lock: int, name: str) -> None:
    """liblmdb tells processes apart by their numbers, and each locks the byte of its own."""
    if sys.platform != "win32" and is_record_locked(lock, os.getpid()):
        raise LockFileError(
            f"{name}: a process of another container (PID namespace) that has the same process "
            f"number, {os.getpid()}, has the file open for writing. Let the containers share a PID "
            "namespace, start one of them so that its number differs, or open with readonly=True"
        )
