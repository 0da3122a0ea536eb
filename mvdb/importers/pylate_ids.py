"""The ids that PyLate keeps beside an index: a map from the numbers of passages to document ids.

| PyLate | file | content |
|---|---|---|
| 1.6 | plaid_ids_to_documents_ids.pkl | a pickled dict |
| before | plaid_ids_to_documents_ids.sqlite | by sqlitedict: a table `unnamed`, the number as text in `key`, the pickled id in `value` |

The pickles are read as data (`mvdb.importers.pickle_values`).
"""  # noqa: E501

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from mvdb.errors import InvalidInputError
from mvdb.importers import pickle_values
from mvdb.importers.sqlite_file import numbered, read_only

PICKLE, SQLITE = "plaid_ids_to_documents_ids.pkl", "plaid_ids_to_documents_ids.sqlite"
_MAX_BYTES = 4096
"""Of a pickled id; ids have at most 500 bytes."""
_MAX_PICKLE = 1 << 30
"""Of a pickled dict: 1 GiB, some 50 million ids. It is held in memory."""


class PylateIds(Protocol):
    """Document ids by passage number."""

    def of(self, first: int, count: int) -> list[str | int | None]:
        """The ids of `count` passages; None for a passage that was removed.

        Raises InvalidInputError."""
        ...


def pylate_ids(folder: Path) -> PylateIds | None:
    """The ids in PyLate's folder; None if there are none."""
    if (folder / PICKLE).is_file():
        return _PickledIds(folder / PICKLE)
    return _SqliteIds(folder / SQLITE) if (folder / SQLITE).is_file() else None


class _PickledIds:
    def __init__(self, path: Path) -> None:
        self._path = path
        if path.stat().st_size > _MAX_PICKLE:
            raise InvalidInputError(f"{path}: larger than {_MAX_PICKLE:,} bytes")
        try:
            ids = pickle_values.read(path.read_bytes(), _MAX_PICKLE)
        except pickle_values.UnreadablePickle as error:
            raise InvalidInputError(f"{path}: {error}") from None
        if not isinstance(ids, dict):
            raise InvalidInputError(f"{path}: no dict of document ids")
        self._ids = ids

    def of(self, first: int, count: int) -> list[str | int | None]:
        return [
            _id(self._path, number, self._ids[number]) if number in self._ids else None
            for number in range(first, first + count)
        ]


class _SqliteIds:
    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, first: int, count: int) -> list[str | int | None]:
        ids: dict[int, str | int] = {}
        with read_only(self._path) as database:
            for keys in numbered(first, count):
                marks = ",".join("?" * len(keys))
                rows = database.execute(
                    f"SELECT key, substr(value, 1, {_MAX_BYTES + 1}) FROM unnamed "
                    f"WHERE key IN ({marks})",
                    list(map(str, keys)),
                )
                ids.update((int(key), _id(self._path, key, _unpacked(raw))) for key, raw in rows)
        return [ids.get(number) for number in range(first, first + count)]


def _unpacked(raw: object) -> Any:
    try:
        fits = isinstance(raw, bytes) and len(raw) <= _MAX_BYTES
        return pickle_values.read(raw) if fits else None  # type: ignore[arg-type]
    except pickle_values.UnreadablePickle:
        return None


def _id(path: Path, number: object, id: Any) -> str | int:
    if type(id) in (str, int):
        return id  # type: ignore[no-any-return]
    raise InvalidInputError(f"{path}: passage {number}: its id is no string or integer")
