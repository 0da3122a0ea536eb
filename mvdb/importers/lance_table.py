"""Tables of LanceDB, with a multivector column or with texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.extras import library
from mvdb.importers.arrow_rows import arrow_source
from mvdb.importers.choices import Choices, chosen_table
from mvdb.importers.source import Source

_ROWS = 512
_SUFFIX = ".lance"


def open_table(path: Path, choices: Choices) -> Source:
    """A table: a folder NAME.lance, or one of the tables in the folder of a database."""
    lancedb = library("lancedb", "lancedb", "tables of LanceDB need lancedb")
    folder, name = path, choices.table
    if path.suffix == _SUFFIX:
        if name not in (None, path.stem):
            raise InvalidInputError(f"{path}: this is the table {path.stem!r}, not {name!r}")
        folder, name = path.parent, path.stem
    names = [one.stem for one in folder.glob(f"*{_SUFFIX}") if one.is_dir()]
    name = chosen_table(names, name, str(folder))
    where = f"{folder}, table {name!r}"
    try:
        table = lancedb.connect(str(folder)).open_table(name)
        schema, total = table.schema, int(table.count_rows())
    except Exception as error:  # lancedb raises types of its own, Rust's among them
        raise _refused(where, error) from None

    def batches() -> Iterator[Any]:
        try:
            yield from table.search().to_batches(_ROWS)
        except (RuntimeError, ValueError, OSError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise _refused(where, error) from None

    return arrow_source("lancedb", schema, batches, total, choices, where)


def _refused(where: str, error: Exception) -> InvalidInputError:
    reason = " ".join(str(error).split())
    return InvalidInputError(f"{where}: LanceDB cannot read it ({reason:.200})")
