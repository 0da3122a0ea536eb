"""Steps of maintenance: transactions of their own, behind the other writers of the process.

A step begins when it is its turn (turns.py). It waits for a transaction of another process for
`attempt_seconds` at a time, and then lets writers of its own process go first.
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
from mvdb.write.turns import Turns

T = TypeVar("T")


class StepTransactions:
    """The steps of one collection. Thread-safe; lives as long as the collection is open."""

    def __init__(
        self, environment: Environment, cache: StateCache, resources: Resources, turns: Turns
    ) -> None:
        self.environment = environment
        self.turns = turns
        self.resources = resources
        self.limits = resources.limits
        self.stopped = False
        """Whether no step begins any more."""
        self.without_level = 0
        """Documents of the collection when it had no level of relevance."""
        self._cache = cache
        self._yielded = 0.0  # the monotonic time of the last pause
        self.extending = threading.Lock()  # held while centroids are trained to be added

    def forget(self) -> None:
        """Makes new locks, for a child after `fork`."""
        self.extending = threading.Lock()
        self.turns.forget()

    # ---- the steps ----

    def stop(self) -> None:
        """Lets no further step begin, and ends long reading."""
        self.stopped = True

    def check(self) -> None:
        """Raises ClosedError after `stop`."""
        if self.stopped:
            raise ClosedError("the database is being closed; open it again")

    def yield_gil(self) -> None:
        """Between documents: releases the GIL, if the last time was `work_seconds` ago. Raises
        after `stop`, or when the caller was interrupted."""
        self.check()
        shield.check()
        if time.monotonic() < self._yielded + self.limits.work_seconds:
            return
        # A waiting thread gets the GIL only during a pause of some length.
        time.sleep(self.limits.yield_seconds)
        self._yielded = time.monotonic()

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
            self.turns.end_step()

    def _begin(self) -> WriteTransaction:
        while True:
            self.turns.begin_step(self.check)
            try:
                return self.environment.write(timeout=self.limits.attempt_seconds)
            except BaseException as error:
                self.turns.end_step()  # no writer of this process waits for another process
                if not isinstance(error, BusyError):
                    raise
