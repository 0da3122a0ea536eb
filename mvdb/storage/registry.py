"""Which files this process has open: one `SharedEnvironment` per inode, also across ``fork``.

After ``fork`` the child forgets everything it inherited without touching it. Closing it there would
release reader slots and mutexes of the parent, which lie in shared memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any, Final

import lmdb

from mvdb.storage.arrival import (
    Arrival,
    arrive,
    lock_path,
    open_data_file,
    remove_lock_file,
    still_names,
)
from mvdb.storage.filelock import share_flock
from mvdb.storage.opening import Mode
from mvdb.storage.shared import SharedEnvironment
from mvdb.storage.transaction import ReadTransaction

Check = Callable[[ReadTransaction], None]

_mutex = threading.Lock()
_by_inode: dict[tuple[int, int], SharedEnvironment] = {}
_inherited: Final[list[SharedEnvironment]] = []


def acquire(path: str, mode: Mode, map_size: int | None, check: Check | None) -> SharedEnvironment:
    """The environment of the file ``path``, opened if need be, with one handle more.

    ``mode.lock`` is ignored: it follows from the rest. Raises what `arrive` and ``check`` raise,
    `BusyError` if it is open read-only here and transactions keep it from being opened for writing.
    """
    while True:
        descriptor = open_data_file(path)
        try:
            status = os.fstat(descriptor)
            inode = (status.st_dev, status.st_ino)
            with _mutex:
                shared = _by_inode.setdefault(inode, SharedEnvironment(path))
            with shared.lifecycle:
                if shared.finished:
                    continue
                if shared.descriptor >= 0:
                    _widen(shared, mode)
                else:
                    shared.on_finish = _forget
                    shared.map_size = map_size
                    shared.descriptor = os.dup(descriptor)
                    try:
                        opened = _open_first(shared, mode, check)
                    except BaseException:
                        shared.finish()
                        raise
                    if not opened:
                        shared.finish()
                        continue
                shared.add_handle(full=not mode.relaxed)
                return shared
        finally:
            os.close(descriptor)


def _forget(shared: SharedEnvironment) -> None:
    with _mutex:
        for inode in [key for key, value in _by_inode.items() if value is shared]:
            del _by_inode[inode]
