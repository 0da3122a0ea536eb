"""What a command says: results on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from typing import Any

# Stored text comes from anywhere: an escape sequence in it must not reach a terminal.
_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160)), "\N{REPLACEMENT CHARACTER}")
_KEEP_LINES = {**{code: mark for code, mark in _CONTROL.items() if code not in (9, 10)}, 13: " "}

_NARROWEST, _WIDEST = 40, 120


def printable(text: str) -> str:
    """`text` with control characters replaced, line ends and tabs kept."""
    return text.translate(_KEEP_LINES)


def one_line(text: str) -> str:
    """`text` in one line without control characters."""
    return " ".join(text.split()).translate(_CONTROL)


def count(number: int, noun: str) -> str:
    """``1 file``, ``12,345 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: int) -> str:
    """A number of bytes for people."""
    if number < 1000:
        return f"{number} B"
    units = ("kB", "MB", "GB", "TB")
    power = 1
    while power < len(units) and number >= 999.5 * 1000**power:
        power += 1
    amount = number / 1000**power
    digits = 1 if amount < 99.95 else 0
    return f"{amount:.{digits}f} {units[power - 1]}"


class Console:
    """Standard output and standard error of one command.

    Attributes:
        as_json: results are printed as JSON.
        quiet: no summaries, progress or warnings; results and errors only."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # JSON is UTF-8 everywhere; other output must not fail on a narrow code page.
                encoding = "utf-8" if as_json and stream is sys.stdout else None
                stream.reconfigure(encoding=encoding, errors="backslashreplace")

    @property
    def styled(self) -> bool:
        """Whether standard output shows bold type."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return sys.stdout.isatty() and not plain

    @property
    def moving(self) -> bool:
        """Whether standard error is a terminal that may show progress."""
        return sys.stderr.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        """Columns to wrap at."""
        return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))

    def result(self, value: Any, text: str) -> None:
        """Prints a command's result: `value` as JSON with --json, else `text`."""
        if self.as_json:
            self.json(value)
        else:
            print(printable(text))

    def summary(self, value: Any, text: str) -> None:
        """Like `result`, for what a quiet command leaves out."""
        if self.as_json or not self.quiet:
            self.result(value, text)

    def json(self, value: Any) -> None:
        """Prints one line of JSON."""
        print(json.dumps(value, ensure_ascii=False))

    def styled_text(self, text: str) -> None:
        """Prints text that carries its own styling; its content was made printable before."""
        print(text)

    def note(self, message: str) -> None:
        """Says something beside the result."""
        print(message, file=sys.stderr)

    def warn(self, message: str) -> None:
        if not self.quiet:
            print(f"mvdb: warning: {one_line(message)}", file=sys.stderr)

    def error(self, message: str) -> None:
        print(f"mvdb: error: {one_line(message)}", file=sys.stderr)
