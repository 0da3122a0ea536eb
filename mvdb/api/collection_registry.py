"""The opened collections of a file, and its catalog, as one handle of the file keeps them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mvdb.api.open_collection import FileParts, OpenCollection
from mvdb.api.open_options import Options
from mvdb.errors import NotFoundError
from mvdb.ingest.text_encoder import TextEncoder
from mvdb.storage.catalog import Catalog, CatalogCache
from mvdb.storage.environment import Environment, ReadTransaction, ReadView
from mvdb.threads import shield


class CollectionRegistry:
    """Opens each collection once, at its first use. Thread-safe; lives as long as the handle.

    An opened collection takes a few KiB; the open segments of its newest state are kept for the
    `kept_collections` used last. REQUIRES of transactions: they see the unnamed collection."""

    def __init__(self, environment: Environment, file: FileParts, options: Options) -> None:
        self.options = options
        self._environment = environment
        self._file = file
        self._lock = threading.Lock()
        self._open: dict[int, OpenCollection] = {}
        self._recent: OrderedDict[int, None] = OrderedDict()  # their numbers, the last used last
        self._encoders: dict[int, TextEncoder] = {}
        self._catalogs = CatalogCache()

    def catalog(self, txn: ReadTransaction) -> Catalog:
        """The catalog that a transaction sees."""
        return self._catalogs.of(txn)

    def find(self, txn: ReadTransaction, name: str) -> OpenCollection:
        """A collection that the transaction sees, opened. Raises NotFoundError."""
        number = self.catalog(txn).numbers.get(name)
        if number is None:
            raise NotFoundError(
                f"{self._file.path}: no collection {name!r}; collections() lists them, and "
                f"collection({name!r}, dim=...) of the database makes one"
            )
        return shield.run(lambda: self._opened(txn, name, number))

    def _opened(self, txn: ReadTransaction, name: str, number: int) -> OpenCollection:
        with self._lock:
            found = self._open.get(number)
            if found is None:
                environment = self._environment.collection(name, number, self._catalogs)
                try:
                    view = ReadView(txn, number)
                    found = OpenCollection(environment, self._file, view, name, number)
                except BaseException:
                    environment.close()
                    raise
                self._open[number] = found
                found.maintenance.opened()
            self._shrink(number)
            return found

    def _shrink(self, used: int) -> None:
        """Lets go of the open segments of the collection whose last use is longest ago. They are
        opened again when needed."""
        self._recent[used] = None
        self._recent.move_to_end(used)
        if len(self._recent) > self._file.limits.kept_collections:
            oldest, _ = self._recent.popitem(last=False)
            if oldest in self._open:
                self._open[oldest].cache.clear()

    def encoder(self, collection: OpenCollection, given: TextEncoder | None) -> TextEncoder:
        """The encoder for a handle: the given one, else the one given last for the collection."""
        if given is None:
            none = TextEncoder(None, allow_mismatch=False)
            return self._encoders.get(collection.number, none)
        self._encoders[collection.number] = given
        return given

    def clear_caches(self) -> None:
        """Drops all open segments: the map is about to move."""
        with self._lock:
            for one in self._open.values():
                one.cache.clear()

    def drop(self, number: int) -> None:
        """A collection has been dropped."""
        with self._lock:
            found = self._open.pop(number, None)
            self._encoders.pop(number, None)
        if found is not None:
            found.close("it has been dropped")

    def close(self, reason: str) -> None:
        """Closes all."""
        with self._lock:
            everyone = list(self._open.values())
        for one in everyone:
            one.maintenance.begin_to_stop()
        for one in everyone:
            one.close(reason)
