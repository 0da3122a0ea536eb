"""The command line's grammar: one parser, to which each command adds its own."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

import mvdb
from mvdb.cli.commands import demo, export, index, info, maintain, search

USAGE = 2


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(USAGE)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``mvdb``; a parsed command has its function in `run`."""
    parser = Parser(prog="mvdb", description="Late-interaction search in one file.")
    parser.add_argument("--version", action="version", version=f"mvdb {mvdb.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True, parser_class=Parser
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-q", "--quiet", action="store_true", help="no summaries, warnings or progress"
    )
    for module in (index, search, info, maintain, export, demo):
        module.add_parsers(commands, common)
    return parser
