"""The parser of a command, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mvdb.cli.console import Console

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = Any

USAGE = 2
"""Exit code of wrong usage."""

Run = Callable[[argparse.Namespace, Console], None]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(USAGE)


def add_command(
    commands: Commands,
    name: str,
    run: Run,
    help: str,
    description: str = "",
    json_help: str = "print the result as JSON",
) -> Parser:
    """The parser of a command, with the arguments that all commands have."""
    about = description or help[0].upper() + help[1:] + "."
    parser = commands.add_parser(name, help=help, description=about)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no summaries, warnings or progress"
    )
    parser.add_argument("--json", action="store_true", help=json_help)
    parser.set_defaults(run=run)
    return parser


def add_file(parser: Parser, help: str = "the database") -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help=help)


def add_encoder(parser: Parser) -> None:
    parser.add_argument(
        "--encoder",
        metavar="NAME",
        help="encoder of texts: a model's name or folder, or MODULE:FUNCTION, a function without "
        "arguments that returns an encoder (default: the offline one of the extra text)",
    )


def positive(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


positive.__name__ = "whole number"  # argparse's word for it in "invalid ... value"
