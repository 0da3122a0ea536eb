"""How far a long command has come: a bar by rich, without rich a counter in one line, and nothing
where standard error is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mvdb.cli.console import Console

_SECONDS_BETWEEN = 0.1
_START_OF_LINE = "\r\x1b[K"  # and what stood there is erased


class Update(Protocol):
    """Sets how much is done, of how much (None: the end is not known), and a few words beside."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None: ...


@contextmanager
def progress(console: Console, title: str) -> Iterator[Update]:
    """A display that suits the terminal and is taken off it at the end of the block."""
    if not console.moving:
        yield lambda done, total=None, note="": None
        return
    try:
        from rich import progress as rich
        from rich.console import Console as Terminal
    except ImportError:
        yield _counter(title)
        sys.stderr.write(_START_OF_LINE)
        return
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}"),
    )
    with rich.Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total=None, note="": bar.update(
            task, completed=done, total=total, note=note
        )


def _counter(title: str) -> Update:
    shown = 0.0

    def update(done: int, total: int | None = None, note: str = "") -> None:
        nonlocal shown
        if time.monotonic() - shown >= _SECONDS_BETWEEN or done == total:
            shown = time.monotonic()
            share = f"{done:,}/{total:,}" if total else f"{done:,}"
            print(f"{_START_OF_LINE}{title} {share} {note}", end="", file=sys.stderr, flush=True)

    return update
