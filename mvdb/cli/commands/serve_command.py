"""``mvdb serve``: a database for the application that starts the command."""

from __future__ import annotations

import argparse

from mvdb.cli.commands.grammar import Commands, add_command, positive
from mvdb.cli.console import Console
from mvdb.cli.indexing.index_method import index_method
from mvdb.cli.served import add_served, served
from mvdb.serving.stdio_server import StdioServer, own_stdio

_ABOUT = """\
Answers requests {"id", "method", "params"}, a line of JSON each, until standard input ends. The
methods are those of a database; see docs/howto-sidecar.md."""


def add_parsers(commands: Commands) -> None:
    help = "answer requests of an application, lines of JSON"
    json_help = "no effect: answers are JSON in any case"
    parser = add_command(commands, "serve", run, help, _ABOUT, json_help)
    add_served(parser, "the database; made if it is not there")
    help = "requests on standard input, answers on standard output"
    parser.add_argument("--stdio", action="store_true", required=True, help=help)
    parser.add_argument("--readonly", action="store_true", help="refuse changes")
    help = "dimensions of a token vector, for a new file without an encoder; else checked"
    parser.add_argument("--dim", type=positive, metavar="N", help=help)


def run(arguments: argparse.Namespace, console: Console) -> None:
    readonly, dim = arguments.readonly, arguments.dim
    with (
        own_stdio() as (requests, answers),
        served(arguments, console, readonly=readonly, dim=dim) as (db, encoder),
    ):
        StdioServer(
            db,
            requests,
            answers,
            encoder=None if encoder is None else encoder.name,
            extra={"index": index_method(encoder)},
        ).run()
