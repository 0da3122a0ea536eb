"""The parser of a command, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mvdb.cli.console import Console

_JSON = "print the result as JSON"
USAGE = 2  # exit code
MODES = ("auto", "dense", "lexical", "hybrid")
"""Of a search."""

Run = Callable[[argparse.Namespace, Console], None]
Commands = Callable[..., "Parser"]
"""Makes the parser of a command, given its name and texts of help."""


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
    about: str | None = None,
    json_help: str = _JSON,
) -> Parser:
    """The parser of a command, with the arguments that all commands have."""
    about = about or f"{help[0].upper()}{help[1:]}."
    parser = commands(name, help=help, description=about)
    quiet_help = "no summaries, warnings or progress"
    parser.add_argument("-q", "--quiet", action="store_true", help=quiet_help)
    parser.add_argument("--json", action="store_true", help=json_help)
    parser.set_defaults(run=run)
    return parser


def add_file(parser: Parser, help: str = "the database") -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help=help)


def add_collection(
    parser: Parser, help: str = "a collection of the file, not its own documents"
) -> None:
    parser.add_argument("--collection", metavar="NAME", help=help)


def add_filter(add: Callable[..., object], help: str = "condition on the metadata") -> None:
    """add: `add_argument` of a parser, or of a group of arguments."""
    example = '\'{"path": "a.md"}\''
    add("--filter", metavar="JSON", help=f"{help}: {example}")


def parsed_filter(text: str | None) -> dict[str, Any] | None:
    """The filter of an argument."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--filter: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError('--filter: must be a JSON object, as in \'{"path": "a.md"}\'')
    return value


def add_tenant(parser: Parser) -> None:
    help = "whose documents; needed where the database separates tenants"
    parser.add_argument("--tenant", metavar="NAME", help=help)


def add_encoder(parser: Parser) -> None:
    help = (
        "encoder of texts: a model's name or folder, KIND:MODEL for another library (pylate, "
        "fastembed, onnx), or MODULE:FUNCTION, a function without arguments that returns an "
        "encoder (default: the offline one of the extra text)"
    )
    parser.add_argument("--encoder", metavar="NAME", help=help)


def positive(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def natural(text: str) -> int:
    """A whole number from 0, as the type of an argument."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


natural.__name__ = "whole number"
positive.__name__ = "whole number"  # argparse's word for it in "invalid ... value"
