"""Counts who is inside, and can be shut until everybody has left.

Moving the map needs that no transaction of this process is open. Shutting the gate makes new ones
wait while the open ones end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from mvdb.errors import BusyError, ClosedError


class Gate:
    """Thread-safe. ``name`` is used in messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Reentrant: a transaction may be collected, and so leave, at any allocation.
        self._mutex = threading.RLock()
        self._changed = threading.Condition(self._mutex)
        self._inside = 0
        self._shut = False
        self._closed = False

    @property
    def inside(self) -> int:
        return self._inside

    def enter(self) -> None:
        """Wait while the gate is shut, then count as inside. Raises `ClosedError` once closed."""
        with self._mutex:
            if self._shut:
                self._changed.wait_for(lambda: not self._shut)
            if self._closed:
                raise ClosedError(f"{self._name}: the database is closed")
            self._inside += 1

    def leave(self) -> int:
        """Count as outside again; how many are still inside."""
        with self._mutex:
            self._inside -= 1
            if self._shut:
                self._changed.notify_all()
            return self._inside

    @contextlib.contextmanager
    def shut(self, *, own: int, seconds: float) -> Iterator[None]:
        """Keep everybody out during the block, except ``own`` entries of the calling thread.

        Raises `BusyError` if others do not leave within ``seconds``, `ClosedError` once closed.
        """
        with self._mutex:
            self._changed.wait_for(lambda: not self._shut)
            if self._closed:
                raise ClosedError(f"{self._name}: the database is closed")
            self._shut = True
            if not self._changed.wait_for(lambda: self._inside <= own, seconds):
                self._open_again()
                raise BusyError(
                    f"{self._name}: transactions of this process stayed open for {seconds} s while "
                    "the map had to be moved; close snapshots and try again"
                )
        try:
            yield
        finally:
            with self._mutex:
                self._open_again()

    def _open_again(self) -> None:
        self._shut = False
        self._changed.notify_all()

    def close_if_empty(self) -> bool:
        """Let nobody in any more; False, and no change, if somebody is inside."""
        with self._mutex:
            self._changed.wait_for(lambda: not self._shut)
            if self._inside:
                return False
            self._closed = True
            return True
