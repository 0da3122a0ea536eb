"""SQLite files that other engines wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mvdb.errors import InvalidInputError

_ASKED = 500  # SQLite takes at least 999 parameters


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite file from elsewhere, opened without the right to change it or to call functions
    that its schema names.

    Raises InvalidInputError for what goes wrong inside of the block."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            yield database
    except sqlite3.Error as error:
        raise InvalidInputError(f"{path}: not a database of the expected form ({error})") from None


def numbered(first: int, count: int) -> Iterator[range]:
    """The numbers from `first` on, in ranges that fit into the parameters of a query."""
    for start in range(first, first + count, _ASKED):
        yield range(start, min(start + _ASKED, first + count))
