"""Counts the transactions of a process, and keeps new ones out until the present ones have ended.

The map can be moved only while no transaction of this process is open. A transaction holds an
`Entry` and counts as long as the entry lives: a transaction that an exception has torn from its
owner leaves with the object. No function waits on a condition, because an interruption of the main
thread could cut the condition's Python code in two.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from enum import Enum

from mvdb.errors import BusyError, ClosedError
from mvdb.storage.filelock import Backoff, poll

Tell = Callable[[bool], None]
"""Called under a mutex: with True when a transaction enters an empty drain, with False when the
last one has left."""


class Entry:
    """One transaction that counts. Ends with `Drain.leave`, or with the last reference to it."""

    __slots__ = ("__weakref__",)


class _State(Enum):
    OPEN = "transactions come and go"
    DRAINING = "none may begin; those inside end"
    CLOSED = "none may begin any more"


class Drain:
    """Thread-safe. ``name`` is used in messages; ``on_lost`` is called after an entry that ended
    without `leave`.

    Entering and leaving take no lock, which an interruption could leave locked: sets change
    atomically. With a function to tell, they take the mutex, so that it is told of entries in the
    order in which they come and go."""

    def __init__(self, name: str, on_lost: Callable[[], None] = lambda: None) -> None:
        self._name = name
        # Reentrant: a transaction may be collected, and so leave, at any allocation.
        self._mutex = threading.RLock()
        self._entries: set[weakref.ref[Entry]] = set()
        self._told: set[weakref.ref[Entry]] = set()
        """Those of them whose beginning was told, and whose end will be."""
        self._state = _State.OPEN
        self._tell: Tell | None = None
        self._on_lost = on_lost

    def tell(self, tell: Tell | None) -> None:
        """Call this from now on. REQUIRES: emptied, or the drain is unknown to other threads."""
        self._tell = tell

    @property
    def inside(self) -> int:
        return sum(1 for entry in self._entries.copy() if entry() is not None)

    def enter(self, deadline: float | None = None) -> Entry:
        """Wait while it is draining, then count as inside.

        Raises `ClosedError` once closed, `BusyError` after the deadline (monotonic seconds)."""
        pauses = Backoff()
        while True:
            entry = self._enter_silently() if self._tell is None else self._enter_told()
            if entry is not None:
                return entry
            if self._state is _State.CLOSED:
                raise self._is_closed()
            if not pauses.wait(deadline):
                raise BusyError(f"{self._name}: the map was being moved for too long; try again")

    def leave(self, entry: Entry) -> bool:
        """End an entry; whether no entry is left."""
        return self._remove(weakref.ref(entry))

    def _enter_silently(self) -> Entry | None:
        entry = Entry()
        self._entries.add(weakref.ref(entry, self._lost))
        # Enter, then read the state: `emptied` changes the state, then counts the entries. It may
        # have come and gone before that, and somebody may have to be told since.
        if self._state is _State.OPEN and self._tell is None:
            return entry
        self.leave(entry)
        return None

    def _enter_told(self) -> Entry | None:
        with self._mutex:
            # Draining begins under the mutex too, and what to tell changes only while draining.
            if self._state is not _State.OPEN or self._tell is None:
                return None
            entry = Entry()
            noted = weakref.ref(entry, self._lost)
            is_first = not self._told
            # Noted first: after an interruption in between, `_lost` finds it.
            self._entries.add(noted)
            self._told.add(noted)
            if is_first:
                self._tell(True)
            return entry

    def _remove(self, entry: weakref.ref[Entry]) -> bool:
        if entry in self._told:
            with self._mutex:
                self._told.discard(entry)
                if not self._told and self._tell is not None:
                    self._tell(False)
        self._entries.discard(entry)  # last: from now on, what to tell may change
        return not self._entries

    def _lost(self, entry: weakref.ref[Entry]) -> None:
        if entry in self._entries:
            self._remove(entry)
            self._on_lost()

    @contextlib.contextmanager
    def emptied(self, *, own: int = 0, seconds: float) -> Iterator[None]:
        """Keep all transactions out during the block, but ``own`` entries of the calling thread.

        Raises `BusyError` if others do not leave within ``seconds``, `ClosedError` once closed.
        """
        deadline = time.monotonic() + seconds
        poll(self._begin_draining)
        try:
            if not poll(lambda: self.inside <= own, deadline):
                raise BusyError(
                    f"{self._name}: transactions of this process stayed open for {seconds} s "
                    "while the map had to be moved; close snapshots and try again"
                )
            yield
        finally:
            self._state = _State.OPEN

    def _begin_draining(self) -> bool:
        """False while another thread drains."""
        with self._mutex:
            if self._state is _State.CLOSED:
                raise self._is_closed()
            if self._state is _State.DRAINING:
                return False
            self._state = _State.DRAINING
            return True

    def close_if_empty(self) -> bool:
        """Close for good; False, and no change, if a transaction is inside."""
        poll(self._begin_draining)
        is_empty = self.inside == 0
        self._state = _State.CLOSED if is_empty else _State.OPEN
        return is_empty

    def _is_closed(self) -> ClosedError:
        return ClosedError(f"{self._name}: the database is closed")
