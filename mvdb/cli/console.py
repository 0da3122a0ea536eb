"""The output of a command: results on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

# Stored text comes from anywhere: an escape sequence in it must not reach a terminal.
_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160)), "\N{REPLACEMENT CHARACTER}")
_KEEP_LINES = {**{code: mark for code, mark in _CONTROL.items() if code not in (9, 10)}, 13: " "}

BOLD, PLAIN = "\x0e", "\x0f"
"""Stand around bold words of a line. `printable` text has neither."""
_TERMINAL = {ord(BOLD): "\x1b[1m", ord(PLAIN): "\x1b[0m"}
_NO_TERMINAL = dict.fromkeys(_TERMINAL)
_TAB = 4
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
    """A number of bytes for people: three digits and a decimal unit."""
    if number < 1000:
        return f"{number} B"
    power = 1
    while power < 4 and number >= 999.5 * 1000**power:
        power += 1
    amount = number / 1000**power
    return f"{amount:.{1 if amount < 99.95 else 0}f} {'kMGT'[power - 1]}B"


def duration(seconds: float) -> str:
    """``42 s``, ``3:05`` minutes or ``1:02:03`` hours."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def mark(text: str, ranges: Iterable[tuple[int, int]]) -> str:
    """`text` with BOLD and PLAIN around ranges of characters, which do not overlap."""
    for start, end in sorted(ranges, reverse=True):
        text = f"{text[:start]}{BOLD}{text[start:end]}{PLAIN}{text[end:]}"
    return text


def wrap(line: str, width: int) -> list[str]:
    """A line, with or without marks, in lines of at most `width` columns.

    Without rich there are no marks in the result and every character counts as one column."""
    parts = re.split(f"[{BOLD}{PLAIN}]", line)
    try:
        from rich.console import Console as Terminal
        from rich.text import Text
    except ImportError:
        return textwrap.wrap("".join(parts), width, tabsize=_TAB) or [""]
    text = Text.assemble(*((part, "bold" * (place % 2)) for place, part in enumerate(parts)))
    lines = text.wrap(Terminal(width=width), width, overflow="fold", tab_size=_TAB)
    return [
        mark(one.plain.rstrip(), ((span.start, span.end) for span in one.spans)) for one in lines
    ]


class Console:
    """Standard output and standard error of one command.

    Attributes:
        as_json: results are printed as JSON.
        quiet: no summaries, progress or warnings; results and errors only.
        width: columns to wrap at.
        moving: standard error is a terminal that may show progress."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))
        dumb = os.environ.get("TERM") == "dumb"
        self.moving = sys.stderr.isatty() and not quiet and not dumb
        styled = sys.stdout.isatty() and not dumb and not os.environ.get("NO_COLOR")
        self._marks = _TERMINAL if styled else _NO_TERMINAL
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # JSON is UTF-8 everywhere; other output must not fail on a narrow code page.
                encoding = "utf-8" if as_json and stream is sys.stdout else None
                stream.reconfigure(encoding=encoding, errors="backslashreplace")

    def json(self, value: Any) -> None:
        """Prints one line of JSON."""
        print(json.dumps(value, ensure_ascii=False))

    def text(self, line: str) -> None:
        """Prints printable text, bold between BOLD and PLAIN on a terminal; nothing for --json."""
        if not self.as_json:
            print(line.translate(self._marks), flush=True)

    def result(self, text: str, value: Any = None) -> None:
        """Prints a command's result: with --json `value` (None: nothing), else `text`."""
        self.text(printable(text))
        if self.as_json and value is not None:
            self.json(value)

    def summary(self, text: str, value: Any = None) -> None:
        """Like `result`; a quiet command leaves out `text`."""
        if self.as_json or not self.quiet:
            self.result(text, value)

    def note(self, message: str) -> None:
        """Says something beside the result, on standard error."""
        print(one_line(message), file=sys.stderr)

    def warn(self, message: str) -> None:
        if not self.quiet:
            self.note(f"mvdb: warning: {message}")

    def error(self, message: str) -> None:
        self.note(f"mvdb: error: {message}")
