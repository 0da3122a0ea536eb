"""Presence of a process at a file: the right to check it, and reliance on another's check.

The rules concern one ``flock`` on the data file:

1. A process opens the environment only while it holds the lock, shared or exclusive.
2. The exclusive holder is alone. It checks the file at rest, opens it, runs the upper layer's
   checks, and only then shares the lock. So the file of a shared holder has been checked.
3. A shared holder asks whether another process has the environment open (liblmdb's record lock on
   the lock file, or a claim of any lock file). If so, that process has checked the file and may be
   changing it: it must not be checked as at rest. If not, the others are readers without lock file,
   or on their way in or out: the lock is tried again for a while, then the file is checked under
   the shared lock. (Or they use another lock file, under another name of the file: `claims` sees
   them. Where it cannot, opening for writing is refused.)
4. The last process to close gets the lock exclusively, removes the lock file and sets the clean
   mark.

If the path names another file meanwhile, all steps begin again.
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
    share_flock,
    try_flock,
)
from mvdb.storage.lmdb.preflight import preflight

_ROUNDS: Final = 15
"""Rounds of waiting (about 0.2 s) for others who are present without using the lock file."""


@dataclass(frozen=True)
class Presence:
    """``alone``: the exclusive lock is held. ``trusted``: no full check was made or needed.
    ``is_certain``: no process can have the file open unseen, with another lock file."""

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


def become_present(path: str, descriptor: int) -> Presence | None:
    """Lock and check the file; None if the path names another file by now.

    The lock stays on ``descriptor``; closing it gives it back. Raises what `preflight` raises.
    """
    if not HAVE_FCNTL:
        if lock_file_in_use(lock_path(path)):
            return Presence(alone=False, trusted=preflight(descriptor, path, at_rest=False))
        return Presence(alone=True, trusted=preflight(descriptor, path))
    pauses = Backoff()
    rounds = 0
    while True:
        try:
            present = _try(path, descriptor, last=rounds >= _ROUNDS)
        except CorruptionError:
            # Under a shared lock a writer may have come during the check; the file was not at rest.
            in_use = lock_file_in_use(lock_path(path)) or claims.are_there(descriptor)
            if rounds >= 2 * _ROUNDS or not in_use:
                raise
            present = None
        if not still_names(path, descriptor):
            return None
        if present is not None:
            return present
        rounds += 1
        pauses.wait()


def _try(path: str, descriptor: int, *, last: bool) -> Presence | None:
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
        return Presence(alone=True, trusted=preflight(descriptor, path))
    if not shared:
        return None
    if lock_file_in_use(lock_path(path)) or claims.are_there(descriptor):
        trusted = preflight(descriptor, path, at_rest=False)
        return Presence(alone=False, trusted=trusted, is_certain=has_locks)
    if last:
        trusted = preflight(descriptor, path)
        return Presence(alone=False, trusted=trusted, is_certain=has_locks and HAVE_OFD)
    drop_flock(descriptor)
    return None


def remove_lock_file(path: str) -> None:
    """Remove the lock file. Only while alone, with no environment open on the file."""
    with contextlib.suppress(OSError):
        os.unlink(lock_path(path))


def share_presence(path: str, descriptor: int, *, lock_file: bool) -> bool:
    """Let others in; with ``lock_file`` in use, False if it was exchanged under us in that moment.

    Turning an exclusive ``flock`` into a shared one is not atomic everywhere. In the gap another
    process may find itself alone and remove our lock file; then we would lock a file of no name.
    """
    before = _status(lock_path(path))
    with contextlib.suppress(OSError):
        share_flock(descriptor)
    after = _status(lock_path(path))
    if not lock_file:
        return True
    return before is not None and after is not None and os.path.samestat(before, after)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
