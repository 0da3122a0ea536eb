"""Transactions as a collection sees them: the keys of its own key space alone.

A view has the methods of the transaction under it, and is that transaction: several views of one
transaction see the same state, and are committed or rolled back together. What a view ends, it ends
for all. A view keeps its transaction alive.
"""

from __future__ import annotations

from typing import Any

from mvdb.errors import ClosedError
from mvdb.storage import key_space
from mvdb.storage.catalog import CatalogCache
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.storage.write_transaction import WriteTransaction


class ReadView(ReadTransaction):
    """A read transaction, seen by a collection."""

    __slots__ = ("_base",)

    def __init__(self, base: ReadTransaction, number: int) -> None:
        self._base = base
        self._file = base._file
        self._tables = base._tables
        self.scope = key_space.scope_of(number)

    def __del__(self) -> None:
        """Nothing: the transaction ends itself."""

    @property
    def closed(self) -> bool:
        return self._base.closed

    def close(self) -> None:
        self._base.close()

    def _open(self) -> Any:
        return self._base._open()


class WriteView(WriteTransaction):
    """A write transaction, seen by a collection."""

    __slots__ = ("_base",)

    def __init__(self, base: WriteTransaction, number: int) -> None:
        self._base = base
        self._file = base._file
        self._tables = base._tables
        self.scope = key_space.scope_of(number)

    def __exit__(self, *details: Any) -> None:
        self._base.__exit__(*details)

    def __del__(self) -> None:
        """Nothing: the transaction ends itself."""

    @property
    def closed(self) -> bool:
        return self._base.closed

    @property
    def full(self) -> bool:
        return self._base.full

    def begin_again(self) -> None:
        self._base.begin_again()

    def commit(self) -> None:
        self._base.commit()

    def close(self) -> None:
        self._base.close()

    def check_thread(self) -> None:
        self._base.check_thread()

    def _open(self) -> Any:
        return self._base._open()

    def _writable(self) -> Any:
        return self._base._writable()

    def _failed(self, error: BaseException, doing: str) -> Exception:
        return self._base._failed(error, doing)


class CollectionScope:
    """The place of one collection in a file: its number there, for transactions that are begun on
    behalf of it. Thread-safe."""

    def __init__(self, path: str, name: str, number: int, catalogs: CatalogCache) -> None:
        self._path = path
        self._name = name
        self._number = number
        self._catalogs = catalogs

    def read(self, txn: ReadTransaction) -> ReadView:
        """The transaction as the collection sees it. Raises `ClosedError` when the collection has
        been dropped; the transaction is then ended."""
        self._refuse_dropped(txn)
        return ReadView(txn, self._number)

    def write(self, txn: WriteTransaction) -> WriteView:
        """The same for a transaction that writes."""
        self._refuse_dropped(txn)
        return WriteView(txn, self._number)

    def _refuse_dropped(self, txn: ReadTransaction) -> None:
        try:
            if self._catalogs.of(txn).numbers.get(self._name) == self._number:
                return
        except BaseException:
            txn.close()
            raise
        txn.close()
        raise ClosedError(f"{self._path}: collection {self._name!r} has been dropped")
