"""What may have been meant by arguments that name nothing: files, fields of the metadata."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.commands.grammar import parsed_filter
from mvdb.cli.console import Console
from mvdb.cli.nearest import MOST_NAMES, nearest, suggestion

_HEAD_BYTES = 64
_LMDB_MAGIC = b"\xde\xc0\xef\xbe"
"""In the first page of a database, as little-endian machines write it."""
_FEW = 3
"""Databases of a folder that are named, at most."""
_SAMPLE = 256
"""Documents whose metadata show which fields there are."""


def about_paths(arguments: argparse.Namespace, error: Exception) -> str:
    """The end of the message of an error about a path: what may have been meant, or nothing."""
    if not isinstance(error, (FileNotFoundError, IsADirectoryError, mvdb.FormatError)):
        return ""
    file: Path | None = getattr(arguments, "file", None)
    sources = [*getattr(arguments, "sources", ()), getattr(arguments, "source", None)]
    sources = [one for one in sources if isinstance(one, Path)]
    missing = [one for one in sources if str(one) != "-" and not os.path.lexists(one)]
    if missing:
        return suggestion(_near(missing[0], files_alone=False))
    if file is None or sources:
        return ""
    for word in _words(arguments):
        if word != str(file) and is_database(Path(word)):
            return f"; the database comes first: mvdb {arguments.command} {word} ..."
    # Unlike `Path.is_file`, this has an answer for a name that is too long.
    if os.path.isfile(file):
        return ""
    return suggestion(_near(file, files_alone=True)) or _databases(file)


def _words(arguments: argparse.Namespace) -> Iterator[str]:
    """All arguments that are text."""
    for value in vars(arguments).values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield one


def _databases(path: Path) -> str:
    """The end of a message about a file that is not there: the databases of its folder, if they
    are few."""
    with suppress(OSError):
        found = sorted(islice(path.parent.glob("*.mvdb"), _FEW + 1))
        if 0 < len(found) <= _FEW:
            return f"; there is {', '.join(map(str, found))}"
    return ""


def is_database(path: Path) -> bool:
    """Whether a file looks like a database."""
    try:
        with path.open("rb") as file:
            return _LMDB_MAGIC in file.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return False


def _near(path: Path, *, files_alone: bool) -> list[str]:
    """Paths in the folder of `path` with a name like its name."""
    try:
        with os.scandir(path.parent) as entries:
            some = islice(entries, MOST_NAMES)
            names = [one.name for one in some if not files_alone or one.is_file()]
    except OSError:
        return []
    return [str(path.with_name(name)) for name in nearest(path.name, names) if path.name]


def note_unknown_fields(
    db: mvdb.Database, arguments: argparse.Namespace, console: Console, *, found: bool
) -> None:
    """Says that no document has the field of --order-by or, where nothing was found, a field of
    --filter. Reads the columns of the fields; a few documents if one is unknown."""
    if console.as_json or console.quiet:
        return
    order_by = getattr(arguments, "order_by", None)
    fields = [] if order_by is None else [order_by]
    if not found:
        fields += _filter_fields(parsed_filter(arguments.filter))
    for field in dict.fromkeys(fields):
        if not _has(db, field, arguments.tenant):
            near = near_fields(db, field, arguments.tenant)
            console.note(f"no document has the field {field!r}{near}")


def check_group_by(db: mvdb.Database, arguments: argparse.Namespace) -> None:
    """Refuses a field of --group-by that no document has, with those like it."""
    field, tenant = arguments.group_by, arguments.tenant
    if field is not None and len(db) and not _has(db, field, tenant):
        near = near_fields(db, field, tenant)
        raise mvdb.InvalidInputError(f"--group-by: no document has the field {field!r}{near}")


def _has(db: mvdb.Database, field: str, tenant: str | None) -> bool:
    """Whether a document has the field; true for what can be no field, which others refuse."""
    try:
        return db.count({field: {"$exists": True}}, tenant=tenant) > 0
    except mvdb.FilterError:
        return True


def near_fields(db: mvdb.Database, field: str, tenant: str | None) -> str:
    """The end of a message about a field that no document has."""
    some = db.documents(tenant=tenant, limit=_SAMPLE)
    known = {name for one in some for name in _paths(one.metadata or {})}
    return suggestion(nearest(field, sorted(known)))


def _paths(metadata: Any, before: str = "") -> Iterator[str]:
    """The paths of the fields of an object, as filters name them."""
    for name, value in metadata.items():
        yield before + name
        if isinstance(value, dict):
            yield from _paths(value, f"{before}{name}.")


def _filter_fields(filter: Any) -> Iterator[str]:
    """The fields that a filter names."""
    if isinstance(filter, list):
        for one in filter:
            yield from _filter_fields(one)
    elif isinstance(filter, dict):
        for name, value in filter.items():
            if name.startswith("$"):
                yield from _filter_fields(value)
            else:
                yield name
