"""Makes a new database file, atomically.

The file is built under a temporary name that nobody else knows, so it needs no locks and may crash
at any moment. Only when it is complete and synced does it get its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import lmdb

from mvdb.storage.atomic_file import publish_new, remove_stale, temporary_beside
from mvdb.storage.drain import Visit
from mvdb.storage.failures import translate
from mvdb.storage.opening import has_address_space, make_tables
from mvdb.storage.transaction import WriteTransaction

_MAP_SIZES = (1 << 30, 1 << 28, 1 << 26, 1 << 24)
"""Address space for the first transaction, which holds metadata only; less where there is less."""


class _NewFile:
    """The owner of a new file's only transaction."""

    def __init__(self, temporary: str, path: str, tables: Mapping[str, Any]) -> None:
        self.path = path
        self._temporary = temporary
        self.tables = tables
        self.epoch = 0
        self._process = os.getpid()

    def in_own_process(self) -> bool:
        return os.getpid() == self._process

    def leave(self, visit: Visit) -> None: ...

    def end_write(self, visit: Visit) -> None: ...

    def lost_write(self) -> None: ...

    def let_go(self) -> None: ...

    def refuse_if_displaced(self) -> None: ...

    def is_roomy(self) -> bool:
        return True

    def begin_again(self) -> Any:
        raise NotImplementedError("a file's creation writes little")

    def commit(self, transaction: Any) -> None:
        try:
            transaction.commit()
        except (lmdb.Error, OSError) as error:
            raise self.failed_write(error, "creating the file") from error

    def failed_write(self, error: BaseException, doing: str) -> Exception:
        return translate(error, doing, self.path, written=self._temporary)

    def pages(self) -> tuple[int, int]:
        raise NotImplementedError("nothing is read while a file is created")


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
    fitting = (size for size in _MAP_SIZES if has_address_space(2 * size))
    environment = lmdb.open(
        os.fsencode(temporary),
        subdir=False,
        lock=False,
        map_size=next(fitting, _MAP_SIZES[-1]),
        max_dbs=16,
        sync=False,  # one fsync at the end is enough: until then nobody knows the file
        mode=0o666,
        lib_version=0,
    )
    try:
        txn = environment.begin(write=True, buffers=True)
        owner = _NewFile(temporary, path, make_tables(environment, txn))
        with WriteTransaction(owner, txn, Visit(None)) as transaction:
            if initialise is not None:
                initialise(transaction)
    finally:
        environment.close()
