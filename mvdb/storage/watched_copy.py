"""Copy of an LMDB environment to a descriptor, watched while it runs.

liblmdb copies in one call, which nothing interrupts. So another thread makes the call, and the
calling thread looks every `INTERVAL_SECONDS` at the size of the file, calls the hooks, and ends the
copy when one of them raises:

1. The descriptor is made one of the null device, open for reading alone. The next write of liblmdb
   fails, and so the copy does.
2. The exception of the hook is raised, and the caller removes the incomplete file.
"""

from __future__ import annotations

import os
import threading

import lmdb

from mvdb.hooks import Hooks
from mvdb.threads import shield

INTERVAL_SECONDS = 0.05


def copy_watched(
    environment: lmdb.Environment, descriptor: int, compact: bool, hooks: Hooks
) -> None:
    """Copies to the descriptor of an empty file. Raises the errors of liblmdb, of the system and of
    the hooks."""
    total = environment.stat()["psize"] * (environment.info()["last_pgno"] + 1)
    failures: list[BaseException] = []
    ended = threading.Event()

    def copy() -> None:
        try:
            environment.copyfd(descriptor, compact=compact)
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    hooks.report(0, total)
    thread = threading.Thread(target=copy, name="mvdb-copy", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system has no more threads: without a watch
        hooks.check()
        environment.copyfd(descriptor, compact=compact)
        hooks.report(total, total)
        return
    try:
        while not ended.wait(INTERVAL_SECONDS):
            shield.check()
            hooks.report(min(os.fstat(descriptor).st_size, total), total)
    except BaseException:
        _spoil(descriptor)
        raise
    finally:
        thread.join()
    if failures:
        raise failures[0]
    size = os.fstat(descriptor).st_size
    hooks.report(size, size)


def _spoil(descriptor: int) -> None:
    """Lets no further write to the descriptor succeed."""
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(null, descriptor)
    finally:
        os.close(null)
