"""Waiting for other writers of the file of a command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

import mvdb
from mvdb.cli.console import Console

_SILENT_SECONDS = 1.0
"""A wait that takes longer is said."""


@contextmanager
def writing(
    db: mvdb.Database, arguments: argparse.Namespace, console: Console
) -> Iterator[mvdb.Transaction]:
    """A write transaction for the length of a block. Waits for another writer, at most the seconds
    of --timeout, and says so.

    Raises BusyError when time is up."""
    with _begun(db, arguments.timeout, console) as txn:
        yield txn


def wait_for_writers(db: mvdb.Database, arguments: argparse.Namespace, console: Console) -> None:
    """The same wait, before a call that has transactions of its own."""
    _begun(db, arguments.timeout, console).rollback()


def _begun(db: mvdb.Database, timeout: float | None, console: Console) -> mvdb.Transaction:
    try:
        try:
            silent = _SILENT_SECONDS if timeout is None else min(timeout, _SILENT_SECONDS)
            return db.transaction(timeout=silent)
        except mvdb.LockFileError:
            raise
        except mvdb.BusyError:
            if timeout is not None and timeout <= _SILENT_SECONDS:
                raise
            if not console.quiet:
                console.note(f"waiting for another writer of {db.path} (--timeout bounds the wait)")
            return db.transaction(timeout=None if timeout is None else timeout - _SILENT_SECONDS)
    except mvdb.LockFileError:
        raise
    except mvdb.BusyError as error:
        raise mvdb.BusyError(
            f"{db.path}: another writer kept the file for {timeout:g} s, nothing was changed; "
            "try again, or give a greater --timeout"
        ) from error
