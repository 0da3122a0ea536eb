"""Knows who is inside, and can be shut until everybody has left.

Moving the map needs that no transaction of this process is open. Shutting the gate makes new ones
wait while the open ones end.

Who is inside holds a `Visit`, and is inside no longer than that lives: a transaction that an
exception has torn from its owner leaves with the object. Nothing here waits on a condition, whose
Python code an interruption of the main thread could cut in two.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

from mvdb.errors import BusyError, ClosedError
from mvdb.storage.filelock import Backoff


class Hooks(Protocol):
    """Told when somebody enters an empty gate, and when the last one has left; under a mutex."""

    def on_first(self) -> None: ...
    def on_last(self) -> None: ...


class Visit:
    """One entry. Ends with `Gate.leave`, or with the last reference to it."""

    __slots__ = ("__weakref__", "hooks")

    def __init__(self, hooks: Hooks | None) -> None:
        self.hooks = hooks
        """Those that were told of it, and are to be told of its end."""


class Gate:
    """Thread-safe. ``name`` is used in messages; ``on_lost`` is called after a visit that ended
    without `leave`.

    Entering and leaving take no lock, which an interruption could leave locked: sets change
    atomically. With ``hooks``, which are exchanged only while nobody is inside, they do."""

    def __init__(self, name: str, on_lost: Callable[[], None] = lambda: None) -> None:
        self._name = name
        # Reentrant: a transaction may be collected, and so leave, at any allocation.
        self._mutex = threading.RLock()
        self._visits: set[weakref.ref[Visit]] = set()
        self._shut = False
        self._closed = False
        self._hooks: Hooks | None = None
        self._on_lost = on_lost

    def hook(self, hooks: Hooks | None) -> None:
        """Have these told from now on. Only while the gate is shut or nobody knows of it."""
        self._hooks = hooks

    @property
    def inside(self) -> int:
        return sum(1 for visit in self._visits.copy() if visit() is not None)

    def enter(self, deadline: float | None = None) -> Visit:
        """Wait while the gate is shut, then count as inside.

        Raises `ClosedError` once closed, `BusyError` after the deadline (monotonic seconds)."""
        pauses = Backoff()
        while True:
            visit = Visit(self._hooks)
            self._add(weakref.ref(visit, self._lost), visit.hooks)
            # First in, then a look: `shut` first shuts, then looks who is inside.
            if not self._shut and not self._closed:
                return visit
            self.leave(visit)
            if self._closed:
                raise self._is_closed()
            if not pauses.wait(deadline):
                raise BusyError(f"{self._name}: the map was being moved for too long; try again")

    def leave(self, visit: Visit) -> bool:
        """End a visit; whether nobody is inside now."""
        return self._remove(weakref.ref(visit), visit.hooks)

    def _add(self, visit: weakref.ref[Visit], hooks: Hooks | None) -> None:
        if hooks is None:
            self._visits.add(visit)
            return
        with self._mutex:
            if not self._visits:
                hooks.on_first()
            self._visits.add(visit)

    def _remove(self, visit: weakref.ref[Visit], hooks: Hooks | None) -> bool:
        if hooks is None:
            self._visits.discard(visit)
            return not self._visits
        with self._mutex:
            self._visits.discard(visit)
            if self._visits:
                return False
            hooks.on_last()
            return True

    def _lost(self, visit: weakref.ref[Visit]) -> None:
        if visit in self._visits:
            self._remove(visit, self._hooks)
            self._on_lost()

    @contextlib.contextmanager
    def shut(self, *, own: int, seconds: float) -> Iterator[None]:
        """Keep everybody out during the block, except ``own`` entries of the calling thread.

        Raises `BusyError` if others do not leave within ``seconds``, `ClosedError` once closed.
        """
        deadline = time.monotonic() + seconds
        self._take()
        try:
            pauses = Backoff()
            while self.inside > own:
                if not pauses.wait(deadline):
                    raise BusyError(
                        f"{self._name}: transactions of this process stayed open for {seconds} s "
                        "while the map had to be moved; close snapshots and try again"
                    )
            yield
        finally:
            self._shut = False

    def _take(self) -> None:
        pauses = Backoff()
        while True:
            with self._mutex:
                if self._closed:
                    raise self._is_closed()
                if not self._shut:
                    self._shut = True
                    return
            pauses.wait()

    def close_if_empty(self) -> bool:
        """Let nobody in any more; False, and no change, if somebody is inside."""
        self._take()
        with self._mutex:
            self._closed = self.inside == 0
            self._shut = False
            return self._closed

    def _is_closed(self) -> ClosedError:
        return ClosedError(f"{self._name}: the database is closed")
