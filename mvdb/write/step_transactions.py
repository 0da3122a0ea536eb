"""Steps of maintenance: transactions of their own, behind the other writers of the process.

1. A step begins when no writer of the process waits. It waits for a transaction of another process
   for `attempt_seconds` at a time, and then lets writers of its own process go first.
2. A writer waits for the step under way. No other step begins while it waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mvdb.errors import BusyError, ClosedError, StorageFullError
from mvdb.state.state import State
from mvdb.state.state_cache import StateCache
from mvdb.storage.environment import Environment, ReadTransaction, WriteTransaction
from mvdb.threads import shield
from mvdb.write.changes import Changes, Resources

T = TypeVar("T")


class StepTransactions:
    """The turns of steps and writers of one database. Thread-safe; lives as long as the engine."""

    def __init__(self, environment: Environment, cache: StateCache, resources: Resources) -> None:
        self.environment = environment
        self.resources = resources
        self.limits = resources.limits
        self.stopped = False
        """Whether no step begins any more."""
        self._cache = cache
        self.forget()

    def forget(self) -> None:
        """Makes new locks, for a child after `fork`."""
        self.extending = threading.Lock()  # held while centroids are trained to be added
        self._changed = threading.Condition()
        self._in_step = False
        self._writers = 0  # that wait to begin

    # ---- the writers ----

    @contextmanager
    def before_writing(self, timeout: float | None) -> Iterator[float | None]:
        """While another writer begins: waits for the step under way and lets no other step begin.
        Yields the rest of `timeout` (seconds; None: no limit).

        Raises BusyError after `timeout`, but not before `grace_seconds`."""
        begun = time.monotonic()
        deadline = None if timeout is None else begun + max(timeout, self.limits.grace_seconds)
        with self._changed:
            self._writers += 1
        try:
            with self._changed:
                if not self._wait(lambda: not self._in_step, deadline):
                    raise BusyError(
                        f"{self.environment.path}: work on the index took longer than {timeout} s"
                    )
            yield None if timeout is None else max(begun + timeout - time.monotonic(), 0.0)
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()

    # ---- the steps ----

    def stop(self) -> None:
        """Lets no further step begin, and ends long reading."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def check(self) -> None:
        """Raises ClosedError after `stop`."""
        if self.stopped:
            raise ClosedError("the database is being closed; open it again")

    def yield_gil(self) -> None:
        """Between documents: releases the GIL. Raises after `stop`, or when the caller was
        interrupted."""
        self.check()
        shield.check()
        # A waiting thread gets the GIL only during a pause of some length.
        time.sleep(self.limits.yield_seconds)

    @contextmanager
    def reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        """A transaction that reads, and its state. Raises ClosedError after `stop`."""
        self.check()
        with self.environment.read() as txn:
            yield txn, self._cache.state(txn)

    def run(self, work: Callable[[Changes], T]) -> T:
        """Runs `work` on the changes of a transaction, commits it, and returns the result. When the
        map is full, `work` is called again in a larger map.

        Raises the errors of `work`, without any change, and ClosedError after `stop`."""
        txn = self._begin()
        try:
            with txn:
                while True:
                    changes = Changes(txn, self._cache.state(txn), self.resources)
                    try:
                        result = work(changes)
                        changes.store_manifest()
                        txn.commit()
                        return result
                    except StorageFullError:
                        if not txn.full:
                            raise
                    finally:
                        changes.close()
                    txn.begin_again()
        finally:
            self._end_step()

    def _begin(self) -> WriteTransaction:
        while True:
            with self._changed:
                self._wait(lambda: self._writers == 0 or self.stopped, None)
                self.check()
                self._in_step = True
            try:
                return self.environment.write(timeout=self.limits.attempt_seconds)
            except BaseException as error:
                self._end_step()  # no writer of this process waits for another process
                if not isinstance(error, BusyError):
                    raise

    def _end_step(self) -> None:
        with self._changed:
            self._in_step = False
            self._changed.notify_all()

    def _wait(self, is_so: Callable[[], bool], deadline: float | None) -> bool:
        """Waits until `is_so`; False after the deadline. Raises when the caller is interrupted.
        REQUIRES: `_changed` is held."""
        while not self._changed.wait_for(is_so, self.limits.poll_seconds):
            shield.check()
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True
