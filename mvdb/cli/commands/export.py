"""``mvdb export``: a database as JSON lines, which ``mvdb index -`` reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import mvdb
from mvdb.cli.commands.options import Commands, add_file
from mvdb.cli.console import Console

_BATCH = 256


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="print documents as JSON lines",
        description="Prints every document as a line of JSON: id, text, metadata.",
    )
    add_file(parser)
    parser.add_argument("--vectors", action="store_true", help="with the stored token vectors")
    # What it prints is JSON in any case; here so that --json works on every command with results.
    parser.add_argument("--json", action="store_true", default=True, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    with mvdb.open(arguments.file, readonly=True) as db, db.snapshot() as snapshot:
        for ids in _batches(snapshot.ids()):
            for line in _lines(snapshot, ids, arguments.vectors):
                console.json(line)
    return 0


def _batches(ids: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(ids)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _lines(snapshot: mvdb.Snapshot, ids: list[Any], vectors: bool) -> Iterator[dict[str, Any]]:
    rows = snapshot.vectors(ids) if vectors else None
    for number, document in enumerate(snapshot.get(ids)):
        if document is not None:
            metadata = None if document.metadata is None else dict(document.metadata)
            line = {"id": document.id, "text": document.text, "metadata": metadata}
            if rows is not None:
                line["vectors"] = rows[number].tolist()
            yield line
