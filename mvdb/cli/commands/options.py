"""Arguments that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]
else:
    Commands = Any


def add_file(parser: argparse.ArgumentParser, help: str = "the database") -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help=help)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def positive(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


positive.__name__ = "whole number"  # what argparse calls it in "invalid ... value"
