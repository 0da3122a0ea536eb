"""Progress of a long command: a bar by rich, a counter without it, nothing without a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mvdb.cli.console import Console


class Update(Protocol):
    """Sets how much is done, of how much (None: unknown), and a few words beside it."""

    def __call__(self, done: int, total: int | None, note: str) -> object: ...


_START_OF_LINE = "\r\x1b[K"  # erases the line


@contextmanager
def progress(console: Console, title: str) -> Iterator[Update]:
    """A display that suits the terminal and is taken off it at the end of the block."""
    if not console.moving:
        yield lambda done, total, note: None
        return
    try:
        from rich import progress as rich
        from rich.console import Console as Terminal
    except ImportError:
        try:
            yield lambda done, total, note: _count(f"{title} {done}/{total or '?'} {note}")
        finally:
            _count("")
        return
    numbers = rich.BarColumn(), rich.MofNCompleteColumn()
    columns = "{task.description}", *numbers, "{task.fields[note]}"
    with rich.Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)


def _count(line: str) -> None:
    print(f"{_START_OF_LINE}{line}", end="", file=sys.stderr, flush=True)
