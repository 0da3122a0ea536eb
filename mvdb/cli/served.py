"""The database of a command that serves others, with its encoder if there is one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mvdb
from mvdb.cli.chosen import chosen
from mvdb.cli.commands.grammar import Parser, add_collection, add_encoder, add_file
from mvdb.cli.console import Console
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.encoders import Encoder


def add_served(parser: Parser, file_help: str) -> None:
    """The arguments that name the database and its encoder."""
    add_file(parser, file_help)
    add_collection(parser)
    add_encoder(parser)
    help = "texts are found by their words, vectors by vectors; no encoder is loaded"
    parser.add_argument("--no-encoder", action="store_true", help=help)


@contextmanager
def served(
    arguments: argparse.Namespace, console: Console, *, readonly: bool, dim: int | None = None
) -> Iterator[tuple[mvdb.Database, Encoder | None]]:
    """The database, opened for the length of a block. A file that is not there is made, unless
    `readonly`. dim: of a new file; checked in another."""
    stats, name = None, arguments.collection
    if name is not None and not arguments.file.exists():
        raise mvdb.PathNotFoundError(
            f"{arguments.file}: no such file, hence no collection {name!r}"
        )
    if readonly or arguments.file.exists():
        # The file first: a wrong one shows at once, not after seconds of loading a model.
        with chosen(arguments, readonly=True) as db:
            stats = db.stats()
    encoder = None if arguments.no_encoder else _encoder(arguments, console, stats)
    options: dict[str, Any] = {"readonly": readonly}
    if name is None:  # else it would be the dimensions of the file's own documents
        options["dim"] = dim
    with chosen(arguments, encoder, **options) as db:
        yield db, encoder


def _encoder(
    arguments: argparse.Namespace, console: Console, stats: mvdb.Stats | None
) -> Encoder | None:
    """The encoder that is named, or the default one where it is installed and fits the file. stats:
    of the file; None for a new one."""
    try:
        encoder = load_encoder(arguments.encoder)
    except ValueError as error:
        if arguments.encoder:
            raise
        _note(console, f"serving without an encoder: {error}")
        return None
    if stats is None:
        return encoder
    if not arguments.encoder and stats.encoder is None and stats.dim != encoder.dim:
        _note(console, f"serving without an encoder: the vectors have {stats.dim} dimensions")
        return None
    check_encoder(encoder, stats.encoder, arguments.file)
    return encoder


def _note(console: Console, message: str) -> None:
    if not console.quiet:
        console.note(message)
