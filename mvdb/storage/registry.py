"""Registry of the files that this process has open: one `SharedEnvironment` per inode.

After ``fork`` the child forgets the inherited environments without closing them: closing would
release reader slots and mutexes of the parent, which are in shared memory.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Final

from mvdb.errors import LockFileError, PathChangedError
from mvdb.limits import Limits
from mvdb.storage.atomic_file import remove_stale
from mvdb.storage.filelock import lock_file_in_use
from mvdb.storage.lifecycle import State
from mvdb.storage.lmdb.process_keys import tell_processes_apart
from mvdb.storage.opening import Mode
from mvdb.storage.presence import (
    Presence,
    become_present,
    lock_path,
    open_data_file,
    remove_lock_file,
)
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.storage.shared_environment import SharedEnvironment
from mvdb.threads import shield

Check = Callable[[ReadTransaction], None]

# Reentrant: a handle may be collected, and so closed, at any allocation.
_mutex = threading.RLock()
_by_inode: dict[tuple[int, int], SharedEnvironment] = {}
_inherited: Final[list[SharedEnvironment]] = []


def open_environments() -> list[SharedEnvironment]:
    """All open environments of this process."""
    return list(_by_inode.values())


def acquire(
    path: str, mode: Mode, map_size: int | None, check: Check | None, limits: Limits
) -> SharedEnvironment:
    """The environment of the file ``path``, opened if need be, with one handle more.

    ``mode.lock`` is ignored: it follows from the other arguments. Raises the errors of
    `become_present` and ``check``; `BusyError` if the file is open read-only here and transactions
    prevent opening it for writing.
    """
    while True:
        descriptor = open_data_file(path)
        with _mutex:
            shared = _by_inode.setdefault(
                _inode(descriptor), SharedEnvironment(path, map_size, limits, _moved)
            )
        lifecycle = shared.lifecycle
        with lifecycle.lock:
            if lifecycle.state is not State.NEW:
                os.close(descriptor)
                if lifecycle.state is State.FINISHED:
                    continue
                if not mode.readonly and not lifecycle.may_write:
                    lifecycle.widen(Mode(readonly=False, lock=True, relaxed=mode.relaxed))
                lifecycle.add_handle(mode)
                return shared
            lifecycle.hold(descriptor)
            lifecycle.add_handle(mode)
            opened = False
            try:
                opened = _open_first(shared, mode, check)
            except BaseException:
                lifecycle.poison("it could not be opened")  # so that it gets no clean mark
                raise
            finally:
                if not opened:
                    lifecycle.drop_handle(full=not mode.relaxed)
            if opened:
                return shared


def _inode(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _moved(shared: SharedEnvironment, descriptor: int | None) -> None:
    """``shared`` has another file now, or is closed."""
    with _mutex:
        for inode in [key for key, value in _by_inode.items() if value is shared]:
            del _by_inode[inode]
        if descriptor is not None:
            _by_inode[_inode(descriptor)] = shared


def _open_first(shared: SharedEnvironment, mode: Mode, check: Check | None) -> bool:
    """Open a file that this process does not have open; False if the path moved meanwhile."""
    path, lifecycle = shared.path, shared.lifecycle
    presence = become_present(path, lifecycle.descriptor)
    if presence is None:
        return False
    if not mode.readonly:
        _refuse_if_uncertain(path, presence)
    if presence.alone and not mode.readonly:
        remove_lock_file(path)  # a killed process left it
        if not presence.trusted or os.fstat(lifecycle.descriptor).st_nlink > 1:
            remove_stale(path)
    try:
        if mode.readonly:
            lifecycle.open_for_reading()
        else:
            lifecycle.open(Mode(readonly=False, lock=True, relaxed=mode.relaxed))
    except PathChangedError:
        return False
    if check is not None and not presence.trusted:
        with shared.begin_read() as transaction:
            check(transaction)
    return lifecycle.share_presence() if presence.alone else True


def _refuse_if_uncertain(path: str, presence: Presence) -> None:
    if not presence.is_certain:
        raise LockFileError(
            f"{path}: others may have the file open in a way that cannot be told here (under "
            "another name, or without a lock file; or the file system has no locks). Close it "
            "there, or open with readonly=True"
        )
    if presence.alone and lock_file_in_use(lock_path(path)):
        raise LockFileError(
            f"{path}: a process has the file open directly with LMDB, not with mvdb; end it first"
        )


def _forget_all_in_child() -> None:
    global _mutex
    _mutex = threading.RLock()
    for shared in _by_inode.values():
        shared.lifecycle.leave_to_parent()
    _inherited.extend(_by_inode.values())
    _by_inode.clear()
    if _inherited:
        tell_processes_apart()


def _close_all() -> None:
    for shared in open_environments():
        shared.lifecycle.finish_if_empty()


# A process that ends without closing should leave a clean file too.
atexit.register(shield.run, _close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
