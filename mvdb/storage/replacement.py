"""Copies of a database, and its replacement by a compact copy."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

import lmdb

from mvdb.errors import BusyError, PathExistsError
from mvdb.hooks import Hooks
from mvdb.limits import Limits
from mvdb.storage.atomic_file import publish_new, publish_over, remove_stale, temporary_beside
from mvdb.storage.failures import translate
from mvdb.storage.lmdb.preflight import preflight
from mvdb.storage.opening import Mode, open_lmdb, open_tables
from mvdb.storage.shared_environment import SharedEnvironment
from mvdb.storage.watched_copy import copy_watched


def copy(shared: SharedEnvironment, path: str, compact: bool, replace: bool, hooks: Hooks) -> None:
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
            _copy_to(shared, temporary, descriptor, hooks, compact=compact)
        if replace:
            publish_over(temporary, path)
        elif not publish_new(temporary, path):
            raise PathExistsError(f"{path}: there is a file of that name already")


def _copy_to(
    shared: SharedEnvironment, temporary: str, descriptor: int, hooks: Hooks, *, compact: bool
) -> None:
    """Write and sync a copy, within a transaction that keeps the map where it is."""
    try:
        environment = shared.lifecycle.file.environment
        if hooks.is_idle:
            environment.copyfd(descriptor, compact=compact)
        else:
            copy_watched(environment, descriptor, compact, hooks)
        os.fsync(descriptor)
    except (lmdb.Error, OSError) as error:
        raise translate(error, "copying", shared.path, written=temporary) from error


def compact(shared: SharedEnvironment, timeout: float | None, hooks: Hooks) -> None:
    """See `Environment.compact`."""
    remove_stale(shared.path)
    # The writer's lock is held from before the copy's read transaction: no commit can be lost.
    with _sole_user(shared, timeout), temporary_beside(shared.path) as (temporary, descriptor):
        with shared.begin_read():
            _copy_to(shared, temporary, descriptor, hooks, compact=True)
        _keep_permissions(shared, descriptor)
        _prove(temporary, descriptor, shared.lifecycle.limits)
        shared.lifecycle.exchange(temporary, os.dup(descriptor))


def _keep_permissions(shared: SharedEnvironment, descriptor: int) -> None:
    status = os.fstat(shared.lifecycle.descriptor)
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
        with shared.lifecycle.lock:
            shared.lifecycle.become_alone()
            try:
                yield
            finally:
                shared.lifecycle.let_others_in()
    finally:
        shared.writer.release()


def _prove(path: str, descriptor: int, limits: Limits) -> None:
    """Check, open and sync the new file before the exchange, after which no step may fail."""
    preflight(descriptor, path)
    try:
        environment = open_lmdb(path, Mode(readonly=True, lock=False, relaxed=False), None, limits)
        try:
            open_tables(environment, path)
        finally:
            environment.close()
        os.fsync(descriptor)
    except (lmdb.Error, OSError) as error:
        raise translate(error, "checking the new file", path) from error
