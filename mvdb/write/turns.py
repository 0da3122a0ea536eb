"""Turns of maintenance and writers: one for all collections of an open file.

1. A step of maintenance begins when no writer of the process waits.
2. A writer waits for the step under way. No other step begins while it waits.
3. One thread at a time does maintenance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mvdb.errors import BusyError
from mvdb.limits import Limits
from mvdb.threads import shield


class Turns:
    """Thread-safe; lives as long as the file is open."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self.forget()

    def forget(self) -> None:
        """Makes new locks, for a child after `fork`."""
        self._changed = threading.Condition()
        self._steps = 0  # under way
        self._writers = 0  # that wait to begin
        self._working = threading.Lock()  # held by the thread that does maintenance

    @property
    def in_step(self) -> bool:
        """Whether a step is under way."""
        return self._steps > 0

    # ---- the writers ----

    @contextmanager
    def before_writing(self, timeout: float | None) -> Iterator[float | None]:
        """While another writer begins: waits for the step under way and lets no other step begin.
        Yields the rest of `timeout` (seconds; None: no limit).

        Raises BusyError after `timeout`, but not before `grace_seconds`."""
        begun = time.monotonic()
        deadline = None if timeout is None else begun + max(timeout, self._limits.grace_seconds)
        with self._changed:
            self._writers += 1
        try:
            with self._changed:
                if not self._wait(lambda: not self._steps, deadline):
                    raise BusyError(f"{self._path}: work on the index took longer than {timeout} s")
            yield None if timeout is None else max(begun + timeout - time.monotonic(), 0.0)
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()

    # ---- the steps ----

    def begin_step(self, check: Callable[[], None]) -> None:
        """Waits until no writer waits; then a step is under way. `check` may raise to end it."""
        with self._changed:
            while self._writers:
                check()
                self._changed.wait(self._limits.poll_seconds)
                shield.check()
            check()
            self._steps += 1

    def end_step(self) -> None:
        """A step has ended."""
        with self._changed:
            self._steps -= 1
            self._changed.notify_all()

    @contextmanager
    def working(self, check: Callable[[], None]) -> Iterator[None]:
        """While a thread does maintenance; waits for the one that does. `check` may raise to end
        the wait."""
        while not self._working.acquire(timeout=self._limits.poll_seconds):
            check()
            shield.check()
        try:
            yield
        finally:
            self._working.release()

    def _wait(self, is_so: Callable[[], bool], deadline: float | None) -> bool:
        """Waits until `is_so`; False after the deadline. Raises when the caller is interrupted.
        REQUIRES: `_changed` is held."""
        while not self._changed.wait_for(is_so, self._limits.poll_seconds):
            shield.check()
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True
