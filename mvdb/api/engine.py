"""Engine: the objects that a database, its snapshots and its transactions share for one open file.

The engine is handed to each of them; none uses another's internals. Thread-safe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mvdb.api.levels import Levels
from mvdb.api.open_options import Options
from mvdb.documents import tenants
from mvdb.errors import ClosedError, CorruptionError, ReadOnlyError
from mvdb.limits import Limits
from mvdb.search.prefetch import Prefetcher
from mvdb.search.query_pool import QueryPool
from mvdb.state import encoder_identity, lexical_identity, settings
from mvdb.state.settings import Settings
from mvdb.state.state import State
from mvdb.state.state_cache import StateCache
from mvdb.storage.environment import Environment, ReadTransaction, WriteTransaction
from mvdb.threads import shield
from mvdb.threads.workers import BUILDING
from mvdb.write.changes import Resources
from mvdb.write.maintenance import Maintenance
from mvdb.write.memory_budget import Budget
from mvdb.write.step_transactions import StepTransactions


class Engine:
    """Environment, state cache, query pool, prefetcher, encoder and maintenance of one file."""

    def __init__(self, environment: Environment, options: Options, limits: Limits) -> None:
        """Raises CorruptionError when settings disagree with encoder or ids in the file, and what
        `Options.check_stored` raises."""
        self.environment = environment
        self.limits = limits
        self.path = Path(environment.path)
        self.readonly = options.readonly
        self.encoder = options.encoder
        budget = Budget(options.memory)
        self.queries = QueryPool(budget.queries)
        self.prefetcher = Prefetcher(options.prefetch)
        self.levels = Levels()
        self.settings, self.encoder_problem = self._stored(options)
        self.cache = StateCache(self.settings)
        folder = str(self.path.absolute().parent)
        self.resources = Resources(self.settings, limits, budget, folder, BUILDING)
        self.steps = StepTransactions(environment, self.cache, self.resources)
        self.maintenance = Maintenance(
            self.steps, in_background=options.background and not options.readonly
        )
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self.maintenance.opened()

    def _stored(self, options: Options) -> tuple[Settings, str | None]:
        """The settings in the file, and the reason why the encoder does not fit its vectors, or
        None."""
        with self.environment.read() as txn:
            stored = settings.load(txn)
            identity = encoder_identity.load(txn)
            tenants.check(txn, separates=stored.tenants)
            lexical = lexical_identity.load(txn)
        if identity is not None and identity.dim != stored.dim:
            raise CorruptionError(
                f"{self.path}: encoder of {identity.dim} dimensions, the settings say "
                f"{stored.dim}; run mvdb.repair"
            )
        options.check_stored(stored)
        options.check_lexical(lexical)
        return stored, self.encoder.mismatch(identity)

    def is_in_own_process(self) -> bool:
        """Whether this process opened the file; a child after `os.fork()` did not."""
        return os.getpid() == self._process

    def check_process(self) -> None:
        """ClosedError in a child after `os.fork()`."""
        if not self.is_in_own_process():
            raise ClosedError(
                f"{self.path}: opened before fork(), by another process; in this one open the file "
                f"anew: mvdb.open({str(self.path)!r})"
            )

    def check_open(self) -> None:
        """ClosedError unless the file is open, in this process."""
        self.check_process()
        if self._closed:
            raise ClosedError(f"{self.path}: the database is closed; open it again")

    def check_writable(self) -> None:
        """ClosedError or ReadOnlyError unless the handle may write."""
        self.check_open()
        if self.readonly:
            raise ReadOnlyError(f"{self.path}: opened with readonly=True; open it without to write")

    @contextmanager
    def reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        """A read transaction and the state that it sees."""
        self.check_open()
        with self.environment.read() as txn:
            yield txn, self.cache.state(txn)

    def write(self, timeout: float | None) -> WriteTransaction:
        """Begins a write transaction; waits at most `timeout` seconds (None: for ever), then raises
        BusyError."""
        with self.steps.before_writing(timeout) as left:
            return self.environment.write(timeout=left, told=timeout)

    def close(self) -> None:
        """Ends maintenance and closes the file; waits for calls of other threads. No effect the
        second time, nor in a child after `os.fork()`."""
        if self.is_in_own_process():
            shield.run(self._close)
        else:
            self._closed = True  # the locks may have been held by other threads at the fork

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.maintenance.stop()
        self.environment.close()
        self.cache.clear()
