"""The command line: ``mvdb COMMAND`` or ``python -m mvdb COMMAND``.

Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage, 130 interrupted.
With MVDB_TRACEBACK=1 in the environment a failure shows its traceback."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import mvdb
from mvdb.cli.commands import (
    browse_commands,
    delete_command,
    demo_command,
    eval_command,
    export_command,
    file_commands,
    import_command,
    index_command,
    mcp_command,
    search_command,
    serve_command,
    show_command,
)
from mvdb.cli.commands.grammar import USAGE, Parser
from mvdb.cli.console import Console, one_line
from mvdb.cli.hints import about_paths

__all__ = ["build_parser", "main"]

ERROR, INTERRUPTED = 1, 130
_MODULES = (
    index_command,
    search_command,
    show_command,
    browse_commands,
    file_commands,
    delete_command,
    import_command,
    export_command,
    eval_command,
    serve_command,
    mcp_command,
    demo_command,
)
"""Of all commands, in the order of the help."""


def build_parser() -> Parser:
    """The parser of ``mvdb``; a parsed command has its function in `run`."""
    parser = Parser(prog="mvdb", description="Late-interaction search in one file.")
    parser.add_argument("--version", action="version", version=f"mvdb {mvdb.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    for module in _MODULES:
        module.add_parsers(commands.add_parser)
    parser.commands = commands.choices
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises, never exits.

    `argv` are the arguments without the program's name; None takes those of the process."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse: --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else USAGE
    console = Console(as_json=arguments.json, quiet=arguments.quiet)
    with warnings.catch_warnings():
        # Warnings of mvdb take one line each; those of other libraries are dropped.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("default", category=UserWarning, module=r"mvdb(\.|$)")
        warnings.showwarning = lambda message, *_, **__: console.warn(str(message))
        try:
            arguments.run(arguments, console)
            sys.stdout.flush()
        except KeyboardInterrupt:
            console.error("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            # The reader of the output has seen enough (``| head``), which is no failure. Buffered
            # output would raise again when the interpreter flushes it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:
            if os.environ.get("MVDB_TRACEBACK"):
                raise
            console.error(describe(error) + about_paths(arguments, error))
            return ERROR
    return 0


def describe(error: Exception) -> str:
    """One line for an exception: the message, with its kind where the message alone says little."""
    message = one_line(str(error))
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    # mvdb's own messages and those about values are sentences; others need their name before them.
    sentence = isinstance(error, (ValueError, OSError, RuntimeError, ImportError))
    if message and (sentence or type(error).__module__.startswith("mvdb")):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
