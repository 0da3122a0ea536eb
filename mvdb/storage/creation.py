"""Makes a new database file, atomically.

The file is built under a temporary name that nobody else knows, so it needs no locks and may crash
at any moment. Only when it is complete and synced does it get its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import lmdb

from mvdb.errors import StorageFullError
from mvdb.storage.failures import translate
from mvdb.storage.opening import make_tables
from mvdb.storage.publish import publish_new, remove_stale, temporary_beside
from mvdb.storage.transaction import WriteTransaction

_MAP_SIZE = 1 << 30
"""Address space for the first transaction, which holds metadata only."""


class _NewFile:
    """The owner of a new file's only transaction."""

    def __init__(self, path: str, tables: Mapping[str, Any]) -> None:
        self.path = path
        self.tables = tables
        self.epoch = 0
        self._process = os.getpid()

    def in_own_process(self) -> bool:
        return os.getpid() == self._process

    def end_read(self) -> None: ...

    def end_write(self) -> None: ...

    def commit(self, transaction: Any) -> None:
        try:
            transaction.commit()
        except (lmdb.Error, OSError) as error:
            raise self.failed_write(error, "creating the file") from error

    def failed_write(self, error: BaseException, doing: str) -> Exception:
        return translate(error, doing, self.path)

    def make_room(self, transaction: Any, size: int) -> Any:
        if size > _MAP_SIZE // 2:
            transaction.abort()
            raise StorageFullError(f"{self.path}: {size} bytes are too many for a file's creation")
        return transaction


def create_file(path: str, initialise: Callable[[WriteTransaction], None] | None) -> bool:
    """Create ``path`` with all tables and what ``initialise`` writes; False if it exists by now.

    What ``initialise`` raises comes through, and nothing is left behind. Raises `StorageFullError`
    or another `OSError`.
    """
    remove_stale(path)
    with temporary_beside(path) as (temporary, descriptor):
        _build(temporary, path, initialise)
        os.fsync(descriptor)
        return publish_new(temporary, path)


def _build(
    temporary: str, path: str, initialise: Callable[[WriteTransaction], None] | None
) -> None:
    environment = lmdb.open(
        temporary,
        subdir=False,
        lock=False,
        map_size=_MAP_SIZE,
        max_dbs=16,
        sync=False,  # one fsync at the end is enough: until then nobody knows the file
        mode=0o666,
        lib_version=0,
    )
    try:
        txn = environment.begin(write=True, buffers=True)
        with WriteTransaction(_NewFile(path, make_tables(environment, txn)), txn) as transaction:
            if initialise is not None:
                initialise(transaction)
    finally:
        environment.close()
