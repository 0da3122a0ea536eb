"""The ids that PyLate keeps beside an index: a SQLite file from passage numbers to document ids.

PyLate writes it with sqlitedict: table `unnamed`, the number as text in `key`, the pickled id in
`value`. The pickle is read as data (`mvdb.importers.pickle_values`).
"""

from __future__ import annotations

from pathlib import Path

from mvdb.errors import InvalidInputError
from mvdb.importers import pickle_values
from mvdb.importers.sqlite_file import numbered, read_only

FILE = "plaid_ids_to_documents_ids.sqlite"
_MAX_BYTES = 4096
"""Of a pickled id; ids have at most 500 bytes."""


class PylateIds:
    """Document ids by passage number, read on demand."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, first: int, count: int) -> list[str | int | None]:
        """The ids of `count` passages; None for a passage that was removed.

        Raises InvalidInputError."""
        ids: dict[int, str | int] = {}
        with read_only(self._path) as database:
            for keys in numbered(first, count):
                marks = ",".join("?" * len(keys))
                rows = database.execute(
                    f"SELECT key, substr(value, 1, {_MAX_BYTES + 1}) FROM unnamed "
                    f"WHERE key IN ({marks})",
                    list(map(str, keys)),
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
