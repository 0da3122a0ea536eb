"""Hands a checked file to liblmdb: options, address space, tables, format version.

Why these options: ``readahead=False``, because reads are scattered and the kernel would otherwise
fetch megabytes around each; ``writemap=False``, because stray writes and SIGBUS on a full disk
would reach the file; ``lib_version=0``, the 0.9 engine, whatever a later py-lmdb makes its default.

Durability. "full": liblmdb syncs the data, then writes the meta page through a synchronous
descriptor; a returned commit survives power loss. "relaxed" is ``metasync=False`` and no more: the
data is still synced *before* the meta page is written, only the meta page waits for the next
commit's sync. So the newest durable meta page never points at pages that are not durable, and pages
a durable state uses are not overwritten before its successor is durable. ``sync=False`` has no such
order: after a power cut a meta page can point at pages that were never written.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from dataclasses import dataclass
from typing import Any, Final

import lmdb

from mvdb.errors import BusyError, CorruptionError, FormatError, StorageFullError
from mvdb.limits import Limits
from mvdb.storage.envelope import seal, unseal
from mvdb.storage.format import FORMAT_KEY, FORMAT_VERSION, MAGIC, TABLES, Kind, Record

MAX_TABLES: Final = 16
"""Room for tables of later format versions."""

_SMALLEST_MAP: Final = 1 << 20
_WINDOWS_STEP: Final = 64 << 20

_FORMAT: Final = Record("8sI")
"""Magic and format version; a later version may append to them."""


@dataclass(frozen=True)
class Mode:
    """How liblmdb opens a file. ``lock=False``: without lock file and reader table."""

    readonly: bool
    lock: bool
    relaxed: bool


def open_lmdb(path: str, mode: Mode, map_size: int | None, limits: Limits) -> Any:
    """Open an existing file that `preflight` has passed.

    Address space is reserved, not memory; where there is less (``ulimit -v``), half is tried until
    it works. Raises `StorageFullError` if not even the file itself can be mapped, `lmdb.Error`
    otherwise.
    """
    size = os.path.getsize(path)
    wanted = reservation(size, map_size, limits)
    minimum = size + _SMALLEST_MAP
    while wanted > minimum and not has_address_space(wanted):
        wanted = max(wanted // 2, minimum)
    while True:
        try:
            return _open(path, mode, wanted, limits.max_readers)
        except lmdb.Error as error:
            if error.code != errno.ENOMEM:
                raise
            if wanted <= minimum:
                raise StorageFullError(
                    f"{path}: {minimum} bytes of address space are needed to map the file; "
                    "raise the limit (ulimit -v)"
                ) from error
            wanted = max(wanted // 2, minimum)


def _open(path: str, mode: Mode, map_size: int, max_readers: int) -> Any:
    try:
        return lmdb.open(
            os.fsencode(path),  # of a str it takes UTF-8 only
            map_size=map_size,
            subdir=False,
            readonly=mode.readonly,
            lock=mode.lock,
            create=False,
            sync=True,
            metasync=not mode.relaxed,
            writemap=False,
            readahead=False,
            max_readers=max_readers,
            max_dbs=MAX_TABLES,
            max_spare_txns=1,
            mode=0o666,
            lib_version=0,
        )
    except lmdb.Error as error:
        if "already open in this process" in str(error):
            raise BusyError(
                f"{path}: another file of that name is still open in this process, or the file was "
                "opened directly with lmdb; close it first"
            ) from error
        raise


def reservation(size: int, map_size: int | None, limits: Limits) -> int:
    """Bytes of address space to map for a file of so many bytes, where there is enough.
    ``map_size``: as many at least."""
    asked = map_size or 0
    if sys.platform == "win32":
        # There the file really gets that long: start small, grow in steps.
        return _whole_pages(max(asked, size + _WINDOWS_STEP))
    return _whole_pages(max(asked, limits.reserved_bytes, 4 * size))


def has_address_space(size: int) -> bool:
    """Whether ``size`` more bytes of address space could be reserved right now.

    Asked before liblmdb is: it unmaps the old range first and cannot go back if the new one fails.
    """
    if size <= 0 or sys.platform == "win32":
        return True
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        mmap.mmap(-1, size, flags=flags, prot=0).close()
    except (OSError, OverflowError, ValueError):
        return False
    return True


def _whole_pages(size: int) -> int:
    return -(-size // 65536) * 65536


def open_tables(environment: Any, path: str) -> dict[str, Any]:
    """Handles of all tables, after making sure that this is an mvdb file this library can read.

    Unless the environment is read-only, py-lmdb takes the write lock for this. Raises
    `FormatError`, or `CorruptionError` if the format record is damaged.
    """
    tables = {name: _table(environment, name, path) for name in TABLES}
    with environment.begin(buffers=True) as txn:
        check_format(txn.get(FORMAT_KEY, None, tables["meta"]), path)
    return tables


def _table(environment: Any, name: str, path: str) -> Any:
    try:
        table = environment.open_db(name.encode("ascii"), create=False)
        if any(table.flags().values()):
            raise FormatError(f"{path}: table {name!r} is not of a kind that mvdb makes")
        return table
    except (lmdb.NotFoundError, lmdb.IncompatibleError):
        raise FormatError(
            f"{path}: an LMDB file, but not one of mvdb (no table {name!r})"
        ) from None


def make_tables(environment: Any, txn: Any) -> dict[str, Any]:
    """Make all tables and the format record in a new file, within the given write transaction."""
    tables = {name: environment.open_db(name.encode("ascii"), txn=txn) for name in TABLES}
    body = _FORMAT.pack(MAGIC, FORMAT_VERSION)
    txn.put(FORMAT_KEY, seal(Kind.META, FORMAT_KEY, body), db=tables["meta"])
    return tables


def check_format(value: memoryview | None, path: str) -> None:
    """Check the format record. Raises `FormatError` that names both versions, `CorruptionError`."""
    if value is None:
        raise FormatError(f"{path}: an LMDB file, but not one of mvdb (no format record)")
    body = unseal(Kind.META, FORMAT_KEY, value, f"{path}: format record")
    (magic, version), _ = _FORMAT.unpack_head(body, f"{path}: format record")
    if magic != MAGIC:
        raise CorruptionError(f"{path}: format record with a wrong magic")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{path}: file format {version}; this mvdb reads up to format {FORMAT_VERSION}: "
            "use a newer mvdb"
        )
