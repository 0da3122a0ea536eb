"""One database file, opened: where the layers above meet storage.

`Environment` is a handle. All handles of a process on the same file share one LMDB environment (see
`shared`); closing one does not disturb the others. Handles may be used from many threads; a
transaction belongs to one. Paths are made absolute and free of links at opening.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from mvdb.errors import (
    ClosedError,
    CorruptionError,
    PathDeniedError,
    PathError,
    PathIsFolderError,
    PathNotFoundError,
    ReadOnlyError,
)
from mvdb.hooks import Hooks
from mvdb.limits import Limits
from mvdb.storage import registry, replacement
from mvdb.storage.catalog import CatalogCache
from mvdb.storage.collection_views import CollectionScope, ReadView, WriteView
from mvdb.storage.creation import create_file
from mvdb.storage.failures import translating
from mvdb.storage.lmdb import check_pages, pages
from mvdb.storage.opening import Mode
from mvdb.storage.presence import lock_path
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.storage.shared_environment import SharedEnvironment
from mvdb.storage.write_transaction import WriteTransaction
from mvdb.threads import shield

__all__ = ["Environment", "ReadTransaction", "ReadView", "WriteTransaction", "WriteView"]


class Environment:
    """A handle on a database file. Made by `Environment.open`; a context manager."""

    __slots__ = ("__weakref__", "_full", "_readonly", "_scope", "_shared")

    def __init__(
        self,
        shared: SharedEnvironment,
        *,
        readonly: bool,
        full: bool,
        scope: CollectionScope | None = None,
    ) -> None:
        self._readonly = readonly
        self._full = full
        self._scope = scope
        self._shared: SharedEnvironment | None = shared  # last, for `__del__`

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        readonly: bool = False,
        create: bool = True,
        initialise: Callable[[WriteTransaction], None] | None = None,
        check: Callable[[ReadTransaction], None] | None = None,
        durability: str = "full",
        map_size: int | None = None,
        limits: Limits | None = None,
    ) -> Environment:
        """Open the file, or create it with the content that ``initialise`` writes.

        Creation is atomic: the file appears complete or not at all, and of two processes that
        create it at once one opens the other's. ``check`` is called once, before other processes
        get in, for a file that mvdb did not close cleanly; `open` raises the errors of ``check``.
        ``map_size`` (bytes) is a lower bound of the reserved address space. Like ``limits`` it
        counts for the first handle that a process opens on the file.

        Raises `PathNotFoundError` (also for a missing folder) and other kinds of `PathError`,
        `FormatError`, `CorruptionError`, `BusyError` (see `registry.acquire`), `StorageFullError`,
        `ValueError` for bad options.
        """
        if durability not in ("full", "relaxed"):
            raise ValueError(f"durability must be 'full' or 'relaxed', not {durability!r}")
        if map_size is not None and map_size <= 0:
            raise ValueError(f"map_size must be positive, not {map_size}")
        real = _real(path)
        mode = Mode(readonly=readonly, lock=not readonly, relaxed=durability == "relaxed")
        new = _create if create and not readonly else _refuse_missing

        def acquire() -> SharedEnvironment:
            while True:
                if not os.path.lexists(real):
                    new(real, initialise)
                _refuse_unwritable(real, readonly)
                try:
                    return registry.acquire(real, mode, map_size, check, limits or Limits())
                except FileNotFoundError:
                    if os.path.lexists(real):
                        raise
                    # Removed by somebody else just now: create it again.

        with translating("opening", real):
            _refuse_long_name(real)
            return shield.run(lambda: cls(acquire(), readonly=readonly, full=not mode.relaxed))

    def collection(self, name: str, number: int, catalogs: CatalogCache) -> Environment:
        """Another handle on the file, whose transactions see one collection of it."""
        scope = CollectionScope(self.path, name, number, catalogs)
        return shield.run(lambda: self._another(scope), Environment.close)

    def _another(self, scope: CollectionScope) -> Environment:
        shared = self._open()
        with shared.lifecycle.lock:
            self._open()  # this handle keeps the file open until the other one does
            shared.lifecycle.add_handle(
                Mode(readonly=self._readonly, lock=not self._readonly, relaxed=not self._full)
            )
            return Environment(shared, readonly=self._readonly, full=self._full, scope=scope)

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        shared = getattr(self, "_shared", None)
        if shared is not None and shared.in_own_process():
            # Not here: this may run at any allocation, under any lock.
            shield.post(partial(shared.lifecycle.drop_handle, full=self._full))

    def close(self) -> None:
        """Close the handle; idempotent, and a no-op in a forked child.

        Transactions still open stay valid; the file is released when the last of them has ended.
        """
        shared = self._shared
        if shared is None:
            return
        if not shared.in_own_process():
            self._shared = None
            return
        shield.run(self._close)

    def _close(self) -> None:
        shared = self._shared
        if shared is not None:
            with shared.lifecycle.lock:
                if self._shared is not None:
                    self._shared = None
                    shared.lifecycle.drop_handle(full=self._full)

    # -- transactions ----------------------------------------------------------------------------

    def read(self) -> ReadTransaction:
        """Begin a read transaction on the latest commit. Raises `ClosedError`, as `write` does;
        also when the collection has been dropped."""
        shared = self._shared
        if shared is None:
            raise ClosedError("the database is closed")
        transaction = shared.begin_read()
        return transaction if self._scope is None else self._scope.read(transaction)

    def write(self, timeout: float | None = None, *, told: float | None = None) -> WriteTransaction:
        """Begin the write transaction, waiting up to ``timeout`` seconds for another (None: for
        ever). ``told`` is the time to name in messages, if it differs.

        Raises `BusyError` when time is up or this thread already writes, `ReadOnlyError`,
        `WriteFailedError` after an earlier failure, `ClosedError`.
        """
        shared = self._writable()
        return shield.run(lambda: self._write(shared, timeout, told))

    def _write(
        self, shared: SharedEnvironment, timeout: float | None, told: float | None
    ) -> WriteTransaction:
        transaction = shared.begin_write(timeout, told=told)
        return transaction if self._scope is None else self._scope.write(transaction)

    def refuse_if_writing(self) -> None:
        """Raises `BusyError` when this thread has the write transaction, `ClosedError`."""
        self._open().writer.refuse_if_held()

    # -- the file ----------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Absolute path of the file, links resolved."""
        return self._open().path

    @property
    def poisoned(self) -> str | None:
        """Why this file takes no more writes from this process; None while it does."""
        return self._open().lifecycle.poisoned

    def size(self) -> int:
        """Bytes on disk. Without counting holes, where the system says."""
        shared = self._open()
        with translating("looking at the file", shared.path):
            status = os.fstat(shared.lifecycle.descriptor)
        blocks: int | None = getattr(status, "st_blocks", None)
        return status.st_size if blocks is None else min(status.st_size, blocks * 512)

    def page_problems(self, hooks: Hooks) -> list[str]:
        """What is wrong with the page structure of the latest state, one sentence each. Readers and
        a writer may go on; nothing is written. ``hooks`` may end it."""
        shared = self._open()
        with translating("verifying", shared.path):
            while True:
                with shared.begin_read() as transaction:
                    file, descriptor = shared.lifecycle.file, shared.lifecycle.descriptor
                    page_size, _ = file.map.pages()
                    head = pages.state_head(descriptor, page_size, transaction.id)
                    if head is None:
                        continue  # two commits have come between
                    size = os.fstat(descriptor).st_size
                    try:
                        return check_pages.walk(
                            descriptor, shared.path, size, head, hooks.check
                        ).problems
                    except CorruptionError as error:
                        return [str(error)]

    def sync(self) -> None:
        """Make every commit durable: only durability "relaxed" needs it. Raises
        `WriteFailedError`."""
        shared = self._open()
        if not self._readonly:
            shield.run(shared.sync)

    def copy(
        self,
        path: str | os.PathLike[str],
        *,
        compact: bool = True,
        replace: bool = False,
        hooks: Hooks | None = None,
    ) -> None:
        """Write a consistent copy of the latest commit to ``path``, beside readers and a writer.

        The copy appears complete or not at all, and is durable on return. ``compact`` leaves free
        pages out. ``hooks`` are told of bytes. Raises `PathExistsError` unless ``replace``,
        `StorageFullError`, `PathError`.
        """
        shared, real = self._open(), _real(path)
        with translating("copying to", real):
            _refuse_long_name(real)
            watched = hooks or Hooks()
            shield.run(lambda: replacement.copy(shared, real, compact, replace, watched))

    def compact(self, timeout: float | None = None, hooks: Hooks | None = None) -> None:
        """Rewrite the file without free pages, in place and atomically, beside readers.

        Waits up to ``timeout`` seconds for another writer. ``hooks`` are told of bytes. Raises
        `BusyError`, and changes nothing, while another process has the database open, or
        transactions of this one stay open; `StorageFullError` if there is no room for the second
        file.
        """
        shared = self._writable()
        with translating("compacting", shared.path):
            shield.run(lambda: replacement.compact(shared, timeout, hooks or Hooks()))

    def _writable(self) -> SharedEnvironment:
        shared = self._open()
        if self._readonly:
            raise ReadOnlyError(f"{shared.path}: opened with readonly=True")
        return shared

    def _open(self) -> SharedEnvironment:
        if self._shared is None:
            raise ClosedError("the database is closed")
        return self._shared


def _real(path: str | os.PathLike[str]) -> str:
    """The path made absolute and free of links."""
    given = os.fsdecode(path)
    with translating("looking for the present folder", given):  # which may have been deleted
        return os.path.realpath(given)


def _create(path: str, initialise: Callable[[WriteTransaction], None] | None) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise PathNotFoundError(f"{folder}: no such folder to create a database in")
    if os.path.isdir(lock_path(path)):
        raise PathIsFolderError(
            f"{lock_path(path)}: a folder, where the lock file belongs; move it"
        )
    create_file(path, initialise)


def _refuse_missing(path: str, _: object) -> None:
    raise PathNotFoundError(f"{path}: no such database")


def _refuse_long_name(path: str) -> None:
    """The lock file's name is longer than the file's; liblmdb would fail after creating it."""
    folder, name = os.path.split(path)
    try:
        most = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, AttributeError, ValueError):
        return
    if len(os.fsencode(lock_path(name))) > most:
        raise PathError(
            f"{path}: the name has {len(os.fsencode(name))} bytes; at most "
            f"{most - len(os.fsencode(lock_path('')))} leave room for the lock file's name"
        )


def _refuse_unwritable(path: str, readonly: bool) -> None:
    if readonly or not os.path.isfile(path):
        return
    folder = os.path.dirname(path)
    if not os.path.exists(lock_path(path)) and not os.access(folder, os.W_OK):
        raise PathDeniedError(
            f"{folder}: no lock file can be made in this folder; open the database with "
            "readonly=True"
        )
    if not os.access(path, os.W_OK):
        raise PathDeniedError(f"{path}: the file is read-only; open it with readonly=True")
