"""Order of a commit on disk, and failures of a commit.

1. The clean mark is taken off, before the first write of a session (`take_mark_off`).
2. liblmdb writes the transaction's pages to space that no durable state uses.
3. It syncs them: both durabilities do.
4. It writes the meta page, which makes the transaction visible. With durability "full" the write is
   synchronous; with "relaxed" it waits for the sync of the next commit (opening.py says why this is
   safe). Where handles of both durabilities share the environment, one more sync follows.

Before them the room `write` stores segments, tombstones and ids in the transaction, and the
manifest last (write/index_writer.py, `finish`).

A failed commit. Without room for the pages, nothing has happened; with durability "full" the handle
keeps writing, since every later commit writes and syncs all of its own pages. Any other failure
poisons, and so does every failure under "relaxed", where an earlier meta page may have waited for
the failed sync: reads continue, writes raise `WriteFailedError` until the file is opened again.
"""

from __future__ import annotations

import errno
from typing import Any

import lmdb

from mvdb.errors import Error, WriteFailedError
from mvdb.storage.failures import code_of, is_full, translate
from mvdb.storage.lifecycle import Lifecycle, ShutError

_DOING = "committing"


def take_mark_off(lifecycle: Lifecycle) -> None:
    """Takes the clean mark off, durably. Raises as `commit`."""
    try:
        lifecycle.file.mark.take_off(lifecycle.descriptor)
    except OSError as error:
        raise failed_write(lifecycle, error, _DOING) from error


def commit(lifecycle: Lifecycle, raw: Any) -> None:
    """Commits a transaction of liblmdb: complete on return, without effect after an error.

    Raises `PathChangedError`, `StorageFullError`, `WriteFailedError`."""
    lifecycle.refuse_if_displaced()
    try:
        commit_lmdb(raw)
        if lifecycle.mode.relaxed and lifecycle.is_durable:
            # One environment, two promises: the stronger one is kept.
            lifecycle.file.environment.sync(True)
    except (lmdb.Error, OSError) as error:
        raise failed_write(lifecycle, error, _DOING) from error


def commit_lmdb(raw: Any) -> None:
    """The one call that commits: a seam through which tests make commits fail."""
    raw.commit()


def sync(lifecycle: Lifecycle) -> None:
    """Makes every commit durable. REQUIRES: the caller is the writer. Raises as `commit`."""
    try:
        lifecycle.file.environment.sync(True)
    except (lmdb.Error, OSError) as error:
        raise failed_write(lifecycle, error, _DOING) from error


def failed_write(lifecycle: Lifecycle, error: BaseException, doing: str) -> Exception:
    """Poisons if the failure demands it; the error to raise."""
    if isinstance(error, Error):
        return error
    path = lifecycle.path
    full = is_full(error, path)
    unsure = lifecycle.mode.relaxed and doing == _DOING
    harmless = full and (not unsure or isinstance(error, lmdb.MapFullError))
    harmless = harmless and not _is_fatal(lifecycle)
    poisons = doing == _DOING or code_of(error) == errno.EIO
    if not harmless and (poisons or isinstance(error, lmdb.PanicError)):
        lifecycle.poison(f"{doing}: {error}")
        return WriteFailedError(
            f"{path}: {doing} failed ({error}); nothing of this transaction counts as stored. "
            "Check the disk, then close all handles and reopen the file"
        )
    return translate(error, doing, path, written=path)


def _is_fatal(lifecycle: Lifecycle) -> bool:
    """Whether liblmdb has given up on the environment: it failed to write the meta page."""
    try:
        lifecycle.file.environment.begin().abort()
    except (lmdb.Error, ShutError) as error:
        return isinstance(error, lmdb.PanicError)
    return False
