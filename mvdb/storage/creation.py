"""Makes a new database file, atomically.

The file is built under a temporary name that is unknown to others, so it needs no locks, and a
crash is harmless at any moment. The complete and synced file then gets its name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import lmdb

from mvdb.limits import Limits
from mvdb.storage.atomic_file import publish_new, remove_stale, temporary_beside
from mvdb.storage.drain import Drain, Entry
from mvdb.storage.failures import translate
from mvdb.storage.growth import GrowingMap
from mvdb.storage.open_file import OpenFile
from mvdb.storage.opening import MAX_TABLES, Mode, has_address_space, make_tables
from mvdb.storage.write_transaction import OpenWrite, WriteTransaction

_MAP_SIZES = (1 << 30, 1 << 28, 1 << 26, 1 << 24)
"""Address space for the first transaction, which holds metadata only; less where there is less."""


class _NewFile:
    """The owner of a new file's only transaction, unknown to all others."""

    def __init__(self, temporary: str, path: str) -> None:
        self._temporary = temporary
        self._path = path

    def leave(self, entry: Entry) -> None: ...

    def end_write(self, write: OpenWrite) -> None: ...

    def lost_write(self, write: OpenWrite) -> None: ...

    def commit(self, raw: Any) -> None:
        try:
            raw.commit()
        except (lmdb.Error, OSError) as error:
            raise self.failed_write(error, "creating the file") from error

    def failed_write(self, error: BaseException, doing: str) -> Exception:
        return translate(error, doing, self._path, written=self._temporary)


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
    map_size = next((size for size in _MAP_SIZES if has_address_space(2 * size)), _MAP_SIZES[-1])
    environment = lmdb.open(
        os.fsencode(temporary),
        subdir=False,
        lock=False,
        map_size=map_size,
        max_dbs=MAX_TABLES,
        sync=False,  # one fsync at the end is enough: until then nobody knows the file
        mode=0o666,
        lib_version=0,
    )
    with contextlib.ExitStack() as closing:
        closing.callback(environment.close)
        raw = environment.begin(write=True, buffers=True)
        file = OpenFile(
            path,
            environment,
            make_tables(environment, raw),
            Mode(readonly=False, lock=False, relaxed=False),
            GrowingMap(path, environment, Drain(path), map_size, Limits()),
            closing,
        )
        write = OpenWrite(raw, Entry())
        with WriteTransaction(_NewFile(temporary, path), file, write) as transaction:
            if initialise is not None:
                initialise(transaction)
