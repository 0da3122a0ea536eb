"""The command line: ``mvdb COMMAND`` or ``python -m mvdb COMMAND``.

Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage, 130 interrupted.
With MVDB_TRACEBACK=1 in the environment a failure shows its traceback."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from mvdb.cli.arguments import build_parser
from mvdb.cli.console import Console, one_line

__all__ = ["main"]

ERROR, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises, never exits.

    `argv` are the arguments without the program's name; None takes those of the process."""
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:  # argparse: --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else USAGE
    console = Console(as_json=getattr(arguments, "json", False), quiet=arguments.quiet)
    with warnings.catch_warnings():
        _show_warnings(console)
        try:
            code: int = arguments.run(arguments, console)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            console.error("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            return _reader_gone()
        except Exception as error:
            if os.environ.get("MVDB_TRACEBACK"):
                raise
            console.error(describe(error))
            return ERROR


def describe(error: Exception) -> str:
    """One line for an exception: the message, with its kind where the message alone says little."""
    message = one_line(str(error))
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    # mvdb's own messages and those about values are sentences; others need their name before them.
    if message and isinstance(error, (ValueError, OSError, RuntimeError, ImportError)):
        return message
    if message and type(error).__module__.startswith("mvdb"):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _reader_gone() -> int:
    """Whoever read our output has seen enough (``| head``): that is no failure."""
    # What is still buffered would raise again when the interpreter flushes it at exit.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return 0


def _show_warnings(console: Console) -> None:
    """Warnings in one line; those of libraries that are not about the user's data are dropped."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        console.warn(str(message))

    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", category=UserWarning, module=r"mvdb(\.|$)")
    warnings.showwarning = show
