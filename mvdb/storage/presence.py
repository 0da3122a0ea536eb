"""How a process becomes present at a file: who may check it, and who may rely on another's check.

Rules, all in terms of one ``flock`` on the data file:

1. Nobody opens the environment without holding it, shared or exclusive.
2. Who gets it exclusively is alone. He checks the file at rest, opens, runs the upper layer's
   checks, and only then shares the lock. So a shared holder with an open environment has a checked
   file.
3. Who gets it shared asks whether another process has the environment open (liblmdb's record lock
   on the lock file, or a claim of any lock file). If so, that one has checked the file, and it may
   be changing: it must not be
   checked as at rest. If not, the others are readers without lock file, or are only passing
   through: try again for a while, then check the file with the lock shared. (Or they use another
   lock file, under another name: `claims` finds out. Where it cannot, nobody gets in to write.)
4. Who closes last, and gets the lock exclusively, removes the lock file and sets the clean mark.

A path can come to name another file while one waits; then one begins again.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Final

from mvdb.errors import CorruptionError, PathIsFolderError
from mvdb.storage import claims
from mvdb.storage.filelock import (
    HAVE_FCNTL,
    HAVE_OFD,
    Backoff,
    drop_flock,
    lock_file_in_use,
    try_flock,
)
from mvdb.storage.lmdb.preflight import preflight

_PATIENCE: Final = 15
"""Rounds of waiting (about 0.2 s) for others who are present without using the lock file."""


@dataclass(frozen=True)
class Arrival:
    """``alone``: the exclusive lock is held. ``trusted``: no full check was made or needed.
    ``is_certain``: nobody can have the file open with another lock file without being seen."""

    alone: bool
    trusted: bool
    is_certain: bool = True


def lock_path(path: str) -> str:
    """The lock file of a database; liblmdb fixes the name."""
    return path + "-lock"


def open_data_file(path: str, access: int = os.O_RDONLY) -> int:
    """A descriptor for locks and checks.

    Raises `PathIsFolderError`, `FileNotFoundError` or another `OSError` that says what is wrong.
    """
    if os.path.isdir(path):
        raise PathIsFolderError(f"{path} is a directory; a database is one file")
    # O_NONBLOCK: opening a FIFO must not hang. preflight then refuses it.
    flags = access | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags | getattr(os, "O_BINARY", 0))


def still_names(path: str, descriptor: int) -> bool:
    """Whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def arrive(path: str, descriptor: int) -> Arrival | None:
    """Lock and check the file; None if the path names another file by now.

    The lock stays on ``descriptor``; closing it gives it back. Raises what `preflight` raises.
    """
    if not HAVE_FCNTL:
        if lock_file_in_use(lock_path(path)):
            return Arrival(alone=False, trusted=preflight(descriptor, path, at_rest=False))
        return Arrival(alone=True, trusted=preflight(descriptor, path))
    pauses = Backoff()
    rounds = 0
    while True:
        try:
            arrival = _try_to_arrive(path, descriptor, last=rounds >= _PATIENCE)
        except CorruptionError:
            # Under a shared lock a writer may have come while we looked; then it was no rest.
            in_use = lock_file_in_use(lock_path(path)) or claims.are_there(descriptor)
            if rounds >= 2 * _PATIENCE or not in_use:
                raise
            arrival = None
        if not still_names(path, descriptor):
            return None
        if arrival is not None:
            return arrival
        rounds += 1
        pauses.wait()


def _try_to_arrive(path: str, descriptor: int, *, last: bool) -> Arrival | None:
    has_locks = True
    try:
        alone = try_flock(descriptor, exclusive=True)
        shared = not alone and try_flock(descriptor, exclusive=False)
    except OSError:
        # A file system without such locks: who else is there cannot be told.
        alone, shared, last, has_locks = False, True, True, False
    if alone:
        if not still_names(path, descriptor):
            return None
        return Arrival(alone=True, trusted=preflight(descriptor, path))
    if not shared:
        return None
    if lock_file_in_use(lock_path(path)) or claims.are_there(descriptor):
        trusted = preflight(descriptor, path, at_rest=False)
        return Arrival(alone=False, trusted=trusted, is_certain=has_locks)
    if last:
        trusted = preflight(descriptor, path)
        return Arrival(alone=False, trusted=trusted, is_certain=has_locks and HAVE_OFD)
    drop_flock(descriptor)
    return None


def remove_lock_file(path: str) -> None:
    """Remove the lock file. Only while alone, with no environment open on the file."""
    with contextlib.suppress(OSError):
        os.unlink(lock_path(path))
