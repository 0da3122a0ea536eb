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

    __slots__ = ("__weakref__", "tell")

    def __init__(self, tell: Tell | None = None) -> None:
        self.tell = tell
        """The function that was told of its beginning, to be told of its end."""


class _State(Enum):
    OPEN = "transactions come and go"
    DRAINING = "none may begin; those inside end"
    CLOSED = "none may begin any more"


class Drain:
    """Thread-safe. ``name`` is used in messages; ``on_lost`` is called after an entry that ended
    without `leave`.

    Entering and leaving take no lock, which an interruption could leave locked: sets change
    atomically. With a function to tell, they take the mutex."""

    def __init__(self, name: str, on_lost: Callable[[], None] = lambda: None) -> None:
        self._name = name
        # Reentrant: a transaction may be collected, and so leave, at any allocation.
        self._mutex = threading.RLock()
        self._entries: set[weakref.ref[Entry]] = set()
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
            entry = Entry(self._tell)
            self._add(weakref.ref(entry, self._lost), entry.tell)
            # Enter, then read the state: `emptied` changes the state, then counts the entries.
            if self._state is _State.OPEN:
                return entry
            self.leave(entry)
            if self._state is _State.CLOSED:
                raise self._is_closed()
            if not pauses.wait(deadline):
                raise BusyError(f"{self._name}: the map was being moved for too long; try again")

    def leave(self, entry: Entry) -> bool:
        """End an entry; whether no entry is left."""
        return self._remove(weakref.ref(entry), entry.tell)

    def _add(self, entry: weakref.ref[Entry], tell: Tell | None) -> None:
        if tell is None:
            self._entries.add(entry)
            return
        with self._mutex:
            if not self._entries:
                tell(True)
            self._entries.add(entry)

    def _remove(self, entry: weakref.ref[Entry], tell: Tell | None) -> bool:
        if tell is None:
            self._entries.discard(entry)
            return not self._entries
        with self._mutex:
            self._entries.discard(entry)
            if not self._entries:
                tell(False)
            return not self._entries

    def _lost(self, entry: weakref.ref[Entry]) -> None:
        if entry in self._entries:
            self._remove(entry, self._tell)
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
