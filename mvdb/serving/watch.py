"""What a caller may do with a call under way: cancel it, and hear of its progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between two reports of a number, at least. Names of steps are always reported."""

Report = Callable[..., None]
"""Called with figures by name: `done` and `total`, or `step`."""


class Watch:
    """The hooks of one call. report: None where the caller does not listen."""

    def __init__(self, report: Report | None = None) -> None:
        self.cancel = threading.Event()
        self._report = report
        self._next = 0.0

    def numbers(self, done: int, total: int | None) -> None:
        """Units done, and their total if it is known."""
        now = time.monotonic()
        if self._report is not None and (now >= self._next or done == total):
            self._next = now + INTERVAL
            self._report(done=done, total=total)

    def step(self, name: str) -> None:
        """The name of the work that begins."""
        if self._report is not None:
            self._report(step=name)
