"""The database that a command is about: that of the file, or one of its collections."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mvdb


@contextmanager
def chosen(arguments: argparse.Namespace, **options: Any) -> Iterator[mvdb.Database]:
    """Opened for the length of a block; closed with its file. Options: of `mvdb.open`. Raises
    NotFoundError for an unknown collection."""
    with mvdb.open(arguments.file, **options) as db:
        name = arguments.collection
        if name is not None and name not in db.collections():
            known = ", ".join(db.collections()) or "none"
            raise mvdb.NotFoundError(
                f"{arguments.file}: no collection {name!r}; its collections: {known}"
            )
        yield db if name is None else db.collection(name)


def shown(arguments: argparse.Namespace) -> str:
    """The file, and the collection if one was named, for messages."""
    name = arguments.collection
    return f"{arguments.file}" if name is None else f"{arguments.file}, collection {name!r}"
