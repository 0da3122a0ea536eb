"""``mvdb export``: a database as JSON lines, which ``mvdb index -`` reads."""

from __future__ import annotations

import argparse
from itertools import islice

import mvdb
from mvdb.cli.commands.command_arguments import Commands, add_command, add_file
from mvdb.cli.console import Console

_BATCH = 256


def add_parsers(commands: Commands) -> None:
    parser = add_command(
        commands,
        "export",
        run,
        "print documents as JSON lines",
        "Prints every document as a line of JSON: id, text, metadata.",
        json_help=argparse.SUPPRESS,  # taken, as by every command; the output is JSON in any case
    )
    parser.set_defaults(json=True)
    add_file(parser)
    parser.add_argument("--vectors", action="store_true", help="with the stored token vectors")


def run(arguments: argparse.Namespace, console: Console) -> None:
    with mvdb.open(arguments.file, readonly=True) as db, db.snapshot() as snapshot:
        ids = iter(snapshot.ids())
        while batch := list(islice(ids, _BATCH)):
            rows = snapshot.vectors(batch) if arguments.vectors else None
            for number, document in enumerate(snapshot.get(batch)):
                if document is not None:
                    line = document.to_dict()
                    del line["n_tokens"]
                    console.json(
                        line if rows is None else {**line, "vectors": rows[number].tolist()}
                    )
