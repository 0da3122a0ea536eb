"""``mvdb mcp``: search in a database as a tool of local assistants."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from mvdb.cli.commands.grammar import Commands, add_command, add_tenant
from mvdb.cli.console import Console
from mvdb.cli.served import add_served, served
from mvdb.serving.stdio_server import own_stdio

_ABOUT = """\
Serves the tools search, get, similar and facets by the Model Context Protocol on standard input and
output. Needs the extra mcp; see docs/howto-assistants.md."""


def add_parsers(commands: Commands) -> None:
    help = "serve search as a tool of assistants (Model Context Protocol)"
    json_help = "no effect: the protocol is JSON in any case"
    parser = add_command(commands, "mcp", run, help, _ABOUT, json_help)
    add_served(parser, "the database")
    add_tenant(parser)
    help = "also serve the tools store and delete; without it nothing is ever changed"
    parser.add_argument("--write", action="store_true", help=help)
    help = "a sentence for the assistant: what the documents are, and when to search in them"
    parser.add_argument("--about", metavar="TEXT", help=help)


def run(arguments: argparse.Namespace, console: Console) -> None:
    # Imported here: what a process that only searches need not know.
    from mvdb.serving.assistant_tools import run_tools

    with ExitStack() as stack:
        with own_stdio():  # libraries of models print while they load, where only answers belong
            db, _ = stack.enter_context(served(arguments, console, readonly=not arguments.write))
        run_tools(db, arguments.about, arguments.tenant)
