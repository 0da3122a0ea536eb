"""Engine: the objects that a database, its snapshots and its transactions share for one handle.

The engine is handed to each of them; none uses another's internals. Thread-safe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mvdb.api.collection_registry import CollectionRegistry
from mvdb.api.open_collection import OpenCollection
from mvdb.errors import ClosedError, InvalidInputError, ReadOnlyError
from mvdb.ingest.text_encoder import TextEncoder
from mvdb.state import encoder_identity
from mvdb.state.encoder_identity import EncoderIdentity
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction, ReadView, WriteTransaction
from mvdb.threads import shield

_CLOSED = "the database is closed; open it again"


class Engine:
    """Environment, state cache, query pool, prefetcher, encoder and maintenance of one handle on a
    collection."""

    def __init__(
        self,
        collection: OpenCollection,
        encoder: TextEncoder,
        stored: EncoderIdentity | None,
        registry: CollectionRegistry | None = None,
    ) -> None:
        """stored: the encoder of the vectors in the file. registry: of the file's handle, which
        is that of the unnamed collection; None for the handles of other collections."""
        file = collection.file
        self._registry = registry
        self.name = collection.name
        """Of the collection; None for the unnamed one."""
        self.number = collection.number
        self.where = collection.where
        self.path = file.path
        self.readonly = file.readonly
        self.limits = file.limits
        self.queries = file.queries
        self.prefetcher = file.prefetcher
        self.encoder = encoder
        self.encoder_problem = encoder.mismatch(stored)
        self.environment = collection.environment
        self.settings = collection.settings
        self.levels = collection.levels
        self.cache = collection.cache
        self.resources = collection.resources
        self.steps = collection.steps
        self.maintenance = collection.maintenance
        self._collection = collection
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._closed = False

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
        reason = self._collection.closed
        if self._closed or reason is not None:
            raise ClosedError(f"{self.where}: {reason or _CLOSED}")

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
        with self.steps.turns.before_writing(timeout) as left:
            return self.environment.write(timeout=left, told=timeout)

    # ---- the collections of the file ----

    @property
    def registry(self) -> CollectionRegistry:
        """Of the file's collections. Raises InvalidInputError for the handle of one of them."""
        if self._registry is None:
            raise InvalidInputError(
                f"{self.where}: not for a collection; ask the database of the file, which has them "
                "all"
            )
        return self._registry

    def of_collection(
        self, txn: ReadTransaction, name: str, encoder: TextEncoder | None = None
    ) -> Engine:
        """A handle on a collection that the transaction sees. Raises NotFoundError."""
        found = self.registry.find(txn, name)
        stored = encoder_identity.load(ReadView(txn, found.number))
        return Engine(found, self.registry.encoder(found, encoder), stored)

    def close(self) -> None:
        """Ends the handle. The handle of the file ends all maintenance and closes the file with its
        collections, after calls of other threads. No effect the second time, nor in a child after
        `os.fork()`."""
        if self.is_in_own_process():
            shield.run(self._close)
        else:
            self._closed = True  # the locks may have been held by other threads at the fork

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._registry is not None:
            self._registry.close(_CLOSED)
            self._collection.close(_CLOSED)
