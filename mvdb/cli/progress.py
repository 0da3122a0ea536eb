"""How far a long command has come: a bar by rich if that is installed, else a counter in one line,
and nothing at all where standard error is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from mvdb.cli.console import Console


class Progress:
    """Shows nothing; the base of those that do. A context manager.

    `total` is None where the end is not known."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Sets how much is done, of how much, and a few words beside it."""

    def close(self) -> None:
        """Takes the display off the terminal."""


class _Line(Progress):
    """One line, written over."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = 0.0
        self._length = 0

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        now = time.monotonic()
        if now - self._shown < 0.1 and done != total:
            return
        self._shown = now
        share = f"{done:,}/{total:,}" if total else f"{done:,}"
        self._write(f"{self._title} {share} {note}".rstrip())

    def close(self) -> None:
        self._write("")
        sys.stderr.write("\r")
        sys.stderr.flush()

    def _write(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._length))
        sys.stderr.flush()
        self._length = len(line)


class _Bar(Progress):
    """A bar by rich."""

    def __init__(self, title: str, rich_progress: Any, rich_console: Any) -> None:
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.fields[note]}"),
            console=rich_console.Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, note="")
        self._bar.start()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, note=note)

    def close(self) -> None:
        self._bar.stop()


def progress(console: Console, title: str) -> Progress:
    """The display that suits the terminal."""
    if not console.moving:
        return Progress()
    try:
        import rich.console
        import rich.progress
    except ImportError:
        return _Line(title)
    return _Bar(title, rich.progress, rich.console)
