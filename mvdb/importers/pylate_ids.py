"""The ids that PyLate keeps beside an index: a SQLite file from passage numbers to document ids.

PyLate writes it with sqlitedict: table `unnamed`, the number as text in `key`, the pickled id in
`value`. The pickle is read as data (`mvdb.importers.pickle_values`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mvdb.errors import InvalidInputError
from mvdb.importers import pickle_values

FILE = "plaid_ids_to_documents_ids.sqlite"
_MAX_BYTES = 4096
"""Of a pickled id; ids have at most 500 bytes."""
_ASKED = 500  # SQLite takes at least 999 parameters


class PylateIds:
    """Document ids by passage number, read on demand."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, first: int, count: int) -> list[str | int | None]:
        """The ids of `count` passages; None for a passage that was removed.

        Raises InvalidInputError."""
        ids: dict[int, str | int] = {}
        with read_only(self._path) as database:
            for start in range(first, first + count, _ASKED):
                keys = [str(n) for n in range(start, min(start + _ASKED, first + count))]
                marks = ",".join("?" * len(keys))
                rows = database.execute(
                    f"SELECT key, substr(value, 1, {_MAX_BYTES + 1}) FROM unnamed "
                    f"WHERE key IN ({marks})",
                    keys,
                )
                ids.update((int(key), self._id(key, value)) for key, value in rows)
        return [ids.get(number) for number in range(first, first + count)]

    def _id(self, key: str, value: object) -> str | int:
        try:
            if isinstance(value, bytes) and len(value) <= _MAX_BYTES:
                id = pickle_values.read(value)
                if type(id) in (str, int):
                    return id  # type: ignore[no-any-return]
        except pickle_values.UnreadablePickle:
            pass
        raise InvalidInputError(f"{self._path}: passage {key}: its id is no string or integer")


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
