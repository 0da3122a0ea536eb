"""The parser of a command, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mvdb.cli.commands.examples import EXAMPLES
from mvdb.cli.console import Console, one_line
from mvdb.cli.nearest import did_you_mean

_JSON = "print the result as JSON"
_FILTER = 'a JSON object is needed, as in \'{"path": "a.md"}\''
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")
"""A negative number is no option."""
USAGE = 2  # exit code
MODES = ("auto", "dense", "lexical", "hybrid")
"""Of a search."""

Run = Callable[[argparse.Namespace, Console], None]
Commands = Callable[..., "Parser"]
"""Makes the parser of a command, given its name and texts of help."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors take one line and name what may have been meant.

    Attributes:
        commands: names of the commands, of the parser that has them.
        words: destination of a last argument of several words, between which options may stand.
        examples: command lines, printed at the end of the help."""

    commands: Collection[str] = ()
    words: str | None = None
    examples: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(USAGE)

    def format_help(self) -> str:
        examples = "".join(f"  {line}\n" for line in self.examples)
        return super().format_help() + (f"\nexamples:\n{examples}" if examples else "")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = sys.argv[1:] if args is None else list(args)
        if self.commands and given and not given[0].startswith("-"):
            self._check_command(given[0])
        found, rest = super().parse_known_args(given, namespace)
        late = self._late_words(given, rest)
        if late and self.words is None:
            self.error(f"unexpected argument: {late[0]}")
        if late and self.words is not None:
            setattr(found, self.words, [*getattr(found, self.words), *late])
        return found, []

    def _check_command(self, word: str) -> None:
        if word in self.commands:
            return
        if word == "help":
            self.error("help is an option: mvdb --help, mvdb COMMAND --help")
        if Path(word).exists():
            self.error(f"{word} is no command: the command comes first ({self.prog} search {word})")
        self.error(f"no command {word!r}{did_you_mean(word, self.commands)}")

    def _late_words(self, given: list[str], rest: list[str]) -> list[str]:
        """What argparse leaves over: words behind options. Ends the program for an unknown
        option."""
        literal = given[given.index("--") + 1 :] if "--" in given else []
        if not literal or rest[-len(literal) :] != literal:
            literal = []  # argparse has taken them
        free = [one for one in rest[: len(rest) - len(literal)] if one != "--"]
        for one in free:
            if one.startswith("-") and one != "-" and not _NEGATIVE.fullmatch(one):
                name = one.partition("=")[0]
                near = did_you_mean(name, self._option_string_actions.keys() - {"--help"})
                behind = "" if near or not self.words else "; words that begin with - go behind --"
                self.error(f"no option {name}{near}{behind}")
        return [*free, *literal]


def add_command(
    commands: Commands,
    name: str,
    run: Run,
    help: str,
    about: str | None = None,
    json_help: str = _JSON,
) -> Parser:
    """The parser of a command, with the arguments that all commands have and the examples of its
    name."""
    about = about or f"{help[0].upper()}{help[1:]}."
    parser = commands(name, help=help, description=about)
    quiet_help = "no summaries, warnings or progress"
    parser.add_argument("-q", "--quiet", action="store_true", help=quiet_help)
    parser.add_argument("--json", action="store_true", help=json_help)
    parser.set_defaults(run=run)
    parser.examples = EXAMPLES.get(name, ())
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
        raise ValueError(f"--filter: not JSON ({error}); {_FILTER}") from error
    if not isinstance(value, dict):
        raise ValueError(f"--filter: {_FILTER}")
    return value


def add_tenant(parser: Parser) -> None:
    help = "whose documents; needed where the database separates tenants"
    parser.add_argument("--tenant", metavar="NAME", help=help)


def add_timeout(parser: Parser) -> None:
    """For `mvdb.cli.waiting`."""
    help = "wait at most so long for another writer (default: without limit)"
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help=help)


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


def seconds(text: str) -> float:
    """A time from 0, as the type of an argument."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time from 0")
    return number


seconds.__name__ = "number of seconds"
natural.__name__ = "whole number"
positive.__name__ = "whole number"  # argparse's word for it in "invalid ... value"
