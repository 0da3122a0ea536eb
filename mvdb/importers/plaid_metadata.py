"""The metadata that fast-plaid keeps for filters: metadata.db, with a table `METADATA` that has a
column for each field, and the document's number in `_subset_`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.importers.sqlite_file import numbered, read_only

FILE = "metadata.db"
_NUMBER = "_subset_"
_MAX_ROW_BYTES = 1 << 24


class PlaidMetadata:
    """Metadata by number, read on demand. Nulls and bytes are left out: JSON has no bytes, and a
    field that a document does not have is null there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with read_only(path) as database:
            columns = database.execute("SELECT name FROM pragma_table_info('METADATA')")
            self._columns = [name for (name,) in columns]
        if _NUMBER not in self._columns:
            raise InvalidInputError(f"{path}: no table METADATA with a column {_NUMBER}")

    def of(self, first: int, count: int) -> list[dict[str, Any] | None]:
        """The metadata of `count` documents."""
        found: dict[int, dict[str, Any]] = {}
        quoted = [name.replace('"', '""') for name in self._columns]
        sizes = " + ".join(f'ifnull(length("{name}"), 0)' for name in quoted)
        names = ", ".join(f'"{name}"' for name in quoted)
        with read_only(self._path) as database:
            for numbers in numbered(first, count):
                marks = ",".join("?" * len(numbers))
                where = f"WHERE {_NUMBER} IN ({marks})"
                (size,) = database.execute(
                    f"SELECT max({sizes}) FROM METADATA {where}", list(numbers)
                ).fetchone()
                if size is not None and size > _MAX_ROW_BYTES:
                    raise InvalidInputError(f"{self._path}: a row of {size:,} characters")
                query = f"SELECT {names} FROM METADATA {where}"
                for row in database.execute(query, list(numbers)):
                    fields = dict(zip(self._columns, row, strict=True))
                    number = fields.pop(_NUMBER)
                    found[number] = {
                        name: value
                        for name, value in fields.items()
                        if isinstance(value, (str, int, float))
                    }
        return [found.get(number) or None for number in range(first, first + count)]
