"""Which files this process has open: one `SharedEnvironment` per inode, also across ``fork``.

After ``fork`` the child forgets everything it inherited without touching it. Closing it there would
release reader slots and mutexes of the parent, which lie in shared memory.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any, Final

from mvdb.errors import LockFileError, PathChangedError
from mvdb.storage.atomic_file import remove_stale
from mvdb.storage.filelock import lock_file_in_use, share_flock
from mvdb.storage.opening import Mode
from mvdb.storage.presence import Arrival, arrive, lock_path, open_data_file, remove_lock_file
from mvdb.storage.shared import SharedEnvironment
from mvdb.storage.transaction import ReadTransaction
from mvdb.threads import shield

Check = Callable[[ReadTransaction], None]

# Reentrant: a handle may be collected, and so closed, at any allocation.
_mutex = threading.RLock()
_by_inode: dict[tuple[int, int], SharedEnvironment] = {}
_inherited: Final[list[SharedEnvironment]] = []


def acquire(path: str, mode: Mode, map_size: int | None, check: Check | None) -> SharedEnvironment:
    """The environment of the file ``path``, opened if need be, with one handle more.

    ``mode.lock`` is ignored: it follows from the rest. Raises what `arrive` and ``check`` raise,
    `BusyError` if it is open read-only here and transactions keep it from being opened for writing.
    """
    while True:
        descriptor = open_data_file(path)
        status = os.fstat(descriptor)
        with _mutex:
            shared = _by_inode.setdefault((status.st_dev, status.st_ino), SharedEnvironment(path))
        with shared.lifecycle:
            if shared.finished:
                os.close(descriptor)
                continue
            if shared.descriptor >= 0:
                os.close(descriptor)
                _widen(shared, mode)
                shared.add_handle(full=not mode.relaxed)
                return shared
            shared.descriptor, shared.map_size, shared.on_finish = descriptor, map_size, _forget
            shared.may_write = not mode.readonly
            shared.add_handle(full=not mode.relaxed)
            opened = False
            try:
                opened = _open_first(shared, mode, check)
            except BaseException:
                shared.poisoned = "it could not be opened"  # so that it gets no clean mark
                raise
            finally:
                if not opened:
                    shared.drop_handle(full=not mode.relaxed)
            if opened:
                return shared


def _forget(shared: SharedEnvironment) -> None:
    with _mutex:
        for inode in [key for key, value in _by_inode.items() if value is shared]:
            del _by_inode[inode]


def rename_inode(shared: SharedEnvironment) -> None:
    """Tell the registry that ``shared`` lives in another file now (in-place replacement)."""
    _forget(shared)
    status = os.fstat(shared.descriptor)
    with _mutex:
        _by_inode[(status.st_dev, status.st_ino)] = shared


def _open_first(shared: SharedEnvironment, mode: Mode, check: Check | None) -> bool:
    """Open a file that this process does not have open; False if the path moved meanwhile."""
    path = shared.path
    arrival = arrive(path, shared.descriptor)
    if arrival is None:
        return False
    if not mode.readonly:
        _refuse_if_uncertain(path, arrival)
    if arrival.alone and not mode.readonly:
        remove_lock_file(path)  # a killed process left it
        if not arrival.trusted or os.fstat(shared.descriptor).st_nlink > 1:
            remove_stale(path)
    try:
        if mode.readonly:
            shared.open_for_reading()
        else:
            shared.open(Mode(readonly=False, lock=True, relaxed=mode.relaxed))
    except PathChangedError:
        return False
    if check is not None and not arrival.trusted:
        with shared.begin_read() as transaction:
            check(transaction)
    return share_presence(shared) if arrival.alone else True


def _refuse_if_uncertain(path: str, arrival: Arrival) -> None:
    if not arrival.is_certain:
        raise LockFileError(
            f"{path}: others may have the file open in a way that cannot be told here (under "
            "another name, or without a lock file; or the file system has no locks). Close it "
            "there, or open with readonly=True"
        )
    if arrival.alone and lock_file_in_use(lock_path(path)):
        raise LockFileError(
            f"{path}: a process has the file open directly with LMDB, not with mvdb; end it first"
        )


def share_presence(shared: SharedEnvironment) -> bool:
    """Let others in; False if the lock file was exchanged under us in that moment.

    Turning an exclusive ``flock`` into a shared one is not atomic everywhere. In the gap another
    process may find itself alone and remove our lock file; then we would lock a file of no name.
    """
    before = _lock_file_status(shared)
    with contextlib.suppress(OSError):
        share_flock(shared.descriptor)
    if not shared.mode.lock:
        return True
    after = _lock_file_status(shared)
    return before is not None and after is not None and os.path.samestat(before, after)


def _lock_file_status(shared: SharedEnvironment) -> os.stat_result | None:
    try:
        return os.stat(lock_path(shared.path))
    except OSError:
        return None


def _widen(shared: SharedEnvironment, mode: Mode) -> None:
    if not mode.readonly and not shared.may_write:
        shared.may_write = True
        try:
            shared.reopen(Mode(readonly=False, lock=True, relaxed=mode.relaxed))
        except BaseException:
            shared.may_write = False
            raise


# -- fork ------------------------------------------------------------------------------------------


def _forget_all_in_child() -> None:
    global _mutex
    _mutex = threading.RLock()
    for shared in _by_inode.values():
        _leave_to_parent(shared)
    _inherited.extend(_by_inode.values())
    _by_inode.clear()
    if _inherited:
        _tell_processes_apart()


def _leave_to_parent(shared: SharedEnvironment) -> None:
    # Never to be deallocated: py-lmdb would close it, at the latest when the interpreter ends.
    if shared.environment is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(shared.environment))
    # Copies of the parent's descriptors would keep its presence lock alive after its death. Closing
    # them gives up nothing of the parent's: flock goes with the last copy, record locks with the
    # process that set them.
    for descriptor in (shared.descriptor, shared.writer.descriptor):
        if descriptor is not None and descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    shared.descriptor, shared.writer.descriptor = -1, None


def _tell_processes_apart() -> None:
    """Let the child open a file that its parent has open.

    py-lmdb refuses a file "already open in this process" and takes the parent's for the child's.
    Its list is keyed by a function we can wrap, so that the keys of a child differ. If a later
    py-lmdb has none, reopening in a child raises `BusyError`; nothing worse.
    """
    try:
        from lmdb import _envid

        original: Callable[[Any, Any], tuple[Any, ...]] = _envid.env_keys
    except (ImportError, AttributeError):
        return
    if getattr(original, "_mvdb_by_process", False):
        return

    def env_keys(path: Any, subdir: Any) -> tuple[Any, ...]:
        return tuple((os.getpid(), key) for key in original(path, subdir))

    env_keys._mvdb_by_process = True  # type: ignore[attr-defined]
    _envid.env_keys = env_keys


def _close_all_at_exit() -> None:
    """Who ends without closing should leave a clean file all the same."""
    shield.run(_close_all)


def _close_all() -> None:
    for shared in list(_by_inode.values()):
        with shared.lifecycle:
            if not shared.finished and shared.gate.close_if_empty():
                shared.finish()


atexit.register(_close_all_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
