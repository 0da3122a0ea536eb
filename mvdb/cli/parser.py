"""The grammar of ``mvdb``: one parser, to which each module of commands adds its own."""

from __future__ import annotations

import argparse

import mvdb
from mvdb.cli.commands import (
    demo_command,
    export_command,
    index_command,
    info_command,
    maintain_commands,
    search_command,
)
from mvdb.cli.commands.command_arguments import Parser

_MODULES = (
    *(index_command, search_command, info_command),
    *(maintain_commands, export_command, demo_command),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``mvdb``; a parsed command has its function in `run`."""
    parser = Parser(prog="mvdb", description="Late-interaction search in one file.")
    parser.add_argument("--version", action="version", version=f"mvdb {mvdb.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    for module in _MODULES:
        module.add_parsers(commands)
    return parser
