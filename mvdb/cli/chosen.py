"""The database that a command is about: that of the file, or one of its collections."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mvdb
from mvdb.cli.nearest import did_you_mean
from mvdb.encoders import Encoder


@contextmanager
def chosen(
    arguments: argparse.Namespace, encoder: Encoder | None = None, **options: Any
) -> Iterator[mvdb.Database]:
    """Opened for the length of a block; closed with its file. encoder: of the database. Options: of
    `mvdb.open`. Raises NotFoundError for an unknown collection."""
    name = arguments.collection
    own = encoder if name is None else None
    with mvdb.open(arguments.file, encoder=own, **options) as db:
        if name is not None and name not in db.collections():
            names = db.collections()
            near = did_you_mean(name, names)
            known = "" if near else f"; its collections: {', '.join(names) or 'none'}"
            raise mvdb.NotFoundError(f"{arguments.file}: no collection {name!r}{near}{known}")
        yield db if name is None else db.collection(name, encoder=encoder)


def shown(arguments: argparse.Namespace) -> str:
    """The file, and the collection if one was named, for messages."""
    name = arguments.collection
    return f"{arguments.file}" if name is None else f"{arguments.file}, collection {name!r}"
