"""The bound of what a server has read and not yet answered."""

from __future__ import annotations

import threading

MAX_CALLS = 64
MAX_BYTES = 64 << 20


class Backlog:
    """Counts calls and the bytes of their lines. Used by any number of threads."""

    def __init__(self, calls: int = MAX_CALLS, bytes: int = MAX_BYTES) -> None:
        self._most_calls, self._most_bytes = calls, bytes
        self._calls = self._bytes = 0
        self._changed = threading.Condition()

    def enter(self, bytes: int) -> None:
        """Waits until there is room for a call; one call always has room."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(bytes))
            self._calls += 1
            self._bytes += bytes

    def _has_room(self, bytes: int) -> bool:
        fits = self._calls < self._most_calls and self._bytes + bytes <= self._most_bytes
        return fits or not self._calls

    def leave(self, bytes: int) -> None:
        """A call of so many bytes was answered."""
        with self._changed:
            self._calls -= 1
            self._bytes -= bytes
            self._changed.notify_all()
