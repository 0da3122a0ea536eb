"""Copies of a database, and putting another file in its place."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

import lmdb

from mvdb.errors import BusyError, PathExistsError
from mvdb.storage import registry
from mvdb.storage.atomic_file import publish_new, publish_over, remove_stale, temporary_beside
from mvdb.storage.failures import translate
from mvdb.storage.filelock import try_flock
from mvdb.storage.lmdb.preflight import preflight
from mvdb.storage.opening import Mode, open_lmdb, open_tables
from mvdb.storage.presence import open_data_file, remove_lock_file
from mvdb.storage.shared import SharedEnvironment

_DRAIN_SECONDS = 5.0


def copy(shared: SharedEnvironment, path: str, compact: bool, replace: bool) -> None:
    """See `Environment.copy`."""
    if not compact and shared.writer.held_by_this_thread:
        raise BusyError(
            f"{shared.path}: a plain copy waits for the write transaction of this very thread"
        )
    if os.path.lexists(path) and not replace:
        raise PathExistsError(f"{path}: there is a file of that name already")
    if os.path.exists(path) and os.path.samefile(path, shared.path):
        raise ValueError(f"{path}: a database cannot be copied onto itself")
    remove_stale(path)
    with temporary_beside(path) as (temporary, descriptor):
        with shared.begin_read():
            _copy_to(shared, temporary, descriptor, compact=compact)
        if replace:
            publish_over(temporary, path)
        elif not publish_new(temporary, path):
            raise PathExistsError(f"{path}: there is a file of that name already")


def _copy_to(shared: SharedEnvironment, temporary: str, descriptor: int, *, compact: bool) -> None:
    """Write and sync a copy, within a transaction that keeps the map where it is."""
    try:
        shared.environment.copyfd(descriptor, compact=compact)
        os.fsync(descriptor)
    except (lmdb.Error, OSError) as error:
        raise translate(error, "copying", shared.path, written=temporary) from error


def replace(shared: SharedEnvironment, path: str, timeout: float | None) -> None:
    """See `Environment.replace_with`."""
    descriptor = open_data_file(path)
    try:
        if not try_flock(descriptor, exclusive=True):
            raise BusyError(f"{path}: still open somewhere; close it first")
        with _sole_user(shared, timeout):
            _prove(path, descriptor)
            _exchange(shared, path, os.dup(descriptor))
    finally:
        os.close(descriptor)


def compact(shared: SharedEnvironment, timeout: float | None) -> None:
    """See `Environment.compact`."""
    remove_stale(shared.path)
    # The writer's lock is held from before the copy's snapshot on: no commit can be lost.
    with _sole_user(shared, timeout), temporary_beside(shared.path) as (temporary, descriptor):
        with shared.begin_read():
            _copy_to(shared, temporary, descriptor, compact=True)
        _keep_permissions(shared, descriptor)
        _prove(temporary, descriptor)
        _exchange(shared, temporary, os.dup(descriptor))


def _keep_permissions(shared: SharedEnvironment, descriptor: int) -> None:
    status = os.fstat(shared.descriptor)
    with contextlib.suppress(OSError, AttributeError):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    with contextlib.suppress(OSError, AttributeError):
        os.fchown(descriptor, status.st_uid, status.st_gid)


@contextlib.contextmanager
def _sole_user(shared: SharedEnvironment, timeout: float | None) -> Iterator[None]:
    """Be the writer, and the only process that has the file open. Raises `BusyError`."""
    # A write transaction opens the file for writing, if that had to wait; then the lock is kept.
    shared.begin_write(timeout).abort()
    shared.writer.acquire(timeout)
    try:
        with shared.lifecycle:
            _become_alone(shared)
            try:
                yield
            finally:
                if not registry.share_presence(shared) and shared.environment is not None:
                    shared.reopen(shared.mode)
    finally:
        shared.writer.release()


def _prove(path: str, descriptor: int) -> None:
    """Nothing may go wrong after the exchange: check, open and sync the new file before."""
    preflight(descriptor, path)
    try:
        environment = open_lmdb(path, Mode(readonly=True, lock=False, relaxed=False), None)
        try:
            open_tables(environment, path)
        finally:
            environment.close()
        os.fsync(descriptor)
    except (lmdb.Error, OSError) as error:
        raise translate(error, "checking the new file", path) from error


def _become_alone(shared: SharedEnvironment) -> None:
    """Turn the presence lock into an exclusive one. Raises `BusyError` if others are present."""
    if try_flock(shared.descriptor, exclusive=True):
        return
    # The attempt has dropped our shared lock; while we had none, somebody else may have left as the
    # last one and taken the lock file along. Then it must be made anew.
    if not registry.share_presence(shared):
        shared.reopen(shared.mode)
    raise BusyError(f"{shared.path}: other processes have the file open; it cannot be replaced")


def _exchange(shared: SharedEnvironment, path: str, descriptor: int) -> None:
    """Exchange the files once nobody is inside. Takes over ``descriptor``, locked exclusively."""
    old = descriptor
    try:
        with shared.gate.shut(own=0, seconds=_DRAIN_SECONDS):
            shared.refuse_if_displaced()
            shared.close()
            try:
                remove_lock_file(shared.path)
                shared.refuse_if_displaced()
                publish_over(path, shared.path)
                old, shared.descriptor = shared.descriptor, descriptor
                registry.rename_inode(shared)
            finally:
                shared.open(shared.mode)
    finally:
        os.close(old)
