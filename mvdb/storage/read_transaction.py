"""Read transactions: the only access to the content.

A transaction belongs to one thread at a time. Every value is a read-only view of the mapped file,
valid until the end of its transaction (in a write transaction, until the next write). REQUIRES: a
caller that keeps a value longer copies it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lmdb

from mvdb.errors import ClosedError, CorruptionError
from mvdb.storage import key_space
from mvdb.storage.drain import Entry
from mvdb.storage.failures import translate
from mvdb.storage.format import Buffer
from mvdb.storage.lmdb import overflow_values, tree_sizes
from mvdb.storage.lmdb.pages import META_PAGES, READABLE_IN_MEMORY
from mvdb.storage.lmdb.tree_sizes import Size
from mvdb.storage.open_file import OpenFile

_ROOT_PAGES = 1
"""Of the table that names the tables."""


class ReadTransaction:
    """One frozen state of the database. Readers never wait for writers, nor writers for them.

    A context manager; `close` is idempotent. Keep it short: pages freed by later commits cannot be
    reused while it is open. Every method raises `ClosedError` after `close` and `CorruptionError`
    when liblmdb finds the page structure broken.
    """

    __slots__ = ("__weakref__", "_entry", "_file", "_leave", "_process", "_tables", "_txn", "scope")

    def __init__(
        self, file: OpenFile, txn: Any, entry: Entry, leave: Callable[[Entry], object]
    ) -> None:
        self._file = file
        self._tables = file.tables
        self._entry = entry
        self._leave = leave
        self._process = os.getpid()
        self.scope = b""
        """What precedes the keys in the file, and in the checksums of their values: see
        `key_space`. Every key that a method takes or gives is without it."""
        self._txn = txn  # last: an interruption may come between, and `__del__` closes what has it

    def __enter__(self) -> ReadTransaction:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_txn", None) is not None:
            self.close()

    @property
    def id(self) -> int:
        """Number of the commit that is seen: grows by one with every commit that wrote."""
        return int(self._open().id())

    @property
    def epoch(self) -> int:
        """Number of the map's present address. Within an epoch, values that were not rewritten keep
        their addresses from transaction to transaction."""
        return self._file.map.epoch

    @property
    def closed(self) -> bool:
        return self._txn is None

    def get(self, table: str, key: Buffer) -> memoryview | None:
        """The value stored under ``key``, or None."""
        txn = self._open()
        try:
            value: memoryview | None = txn.get(self.scope + key, None, self._tables[table])
            return value
        except lmdb.Error as error:
            raise self._failed(error, f"reading table {table}") from error

    def whole(self, table: str, key: bytes) -> memoryview | None:
        """The same of a value that may be large: all of it is asked for before it is read."""
        if not READABLE_IN_MEMORY:
            return self.get(table, key)
        with self._doing(f"reading table {table}"):
            return overflow_values.whole_value(
                self._open(), self._tables[table], self.scope + key, *self._file.map.pages()
            )

    def values(self, table: str, keys: Sequence[bytes]) -> list[memoryview | None]:
        """The same for several keys; large values are not read, but for the first."""
        if not READABLE_IN_MEMORY:
            return [self.get(table, key) for key in keys]
        with self._doing(f"reading table {table}"):
            return list(
                overflow_values.values(
                    self._open(),
                    self._tables[table],
                    [self.scope + key for key in keys],
                    *self._file.map.pages(),
                )
            )

    def iterate(
        self, table: str, start: Buffer | None = None
    ) -> Iterator[tuple[memoryview, memoryview]]:
        """Keys and values in key order, from ``start`` on (inclusive). In a write transaction do
        not write meanwhile."""
        with self._doing(f"reading table {table}"):
            cursor = self._open().cursor(self._tables[table])
            yield from key_space.entries(cursor, self.scope, start)

    def collection_numbers(self, table: str) -> list[int]:
        """The numbers of the collections that have entries in the table."""
        with self._doing(f"reading table {table}"):
            return list(key_space.numbers(self._open().cursor(self._tables[table])))

    def count(self, table: str) -> int:
        """Number of entries in the table, as kept by LMDB if no collection shares it."""
        if not self._is_alone(table):
            return sum(1 for _ in self.iterate(table))
        with self._doing(f"reading table {table}"):
            return int(self._open().stat(self._tables[table])["entries"])

    def table_bytes(self, table: str) -> int:
        """Bytes of all pages of the table, as kept by LMDB. Of a table that collections share: the
        part of these bytes that the own entries are of all entries."""
        with self._doing(f"reading table {table}"):
            found = self._open().stat(self._tables[table])
        pages = found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
        size = int(pages * found["psize"])
        if self._is_alone(table):
            return size
        everything = self._sizes(table, 0, None).get(b"")
        if everything is None:
            return 0  # nobody has an entry
        own = self.sizes(table).get(b"", Size())
        return round(size * (own.keys + own.values) / (everything.keys + everything.values))

    def used_bytes(self) -> int:
        """Bytes of all pages that hold something, of all collections, without LMDB's list of the
        free pages."""
        pages = META_PAGES + _ROOT_PAGES
        page_size, _ = self._file.map.pages()
        for table, handle in self._tables.items():
            with self._doing(f"reading table {table}"):
                found = self._open().stat(handle)
            pages += found["branch_pages"] + found["leaf_pages"] + found["overflow_pages"]
        return int(pages * page_size)

    def _is_alone(self, table: str) -> bool:
        """Whether the unnamed collection, the own one, has the table for itself."""
        with self._doing(f"reading table {table}"):
            return not self.scope and key_space.is_alone(self._open().cursor(self._tables[table]))

    def sizes(self, table: str, length: int = 0) -> dict[bytes, Size]:
        """How much the entries take, by the first ``length`` bytes of their keys, which have at
        least as many. Large values are not read. Of very many entries under one prefix it is an
        estimate: see `tree_sizes`."""
        return self._sizes(table, length, self.scope)

    def _sizes(self, table: str, length: int, scope: bytes | None) -> dict[bytes, Size]:
        """The same for one key space, or for all (None)."""
        page_size, last_page = self._file.map.pages()
        if not tree_sizes.supports(page_size):
            return self._sizes_by_reading(table, length, scope)
        with self._doing(f"reading table {table}"):
            tree = tree_sizes.Tree(self._open(), table, page_size, last_page)
            return tree.sizes(length, scope)

    def _sizes_by_reading(self, table: str, length: int, scope: bytes | None) -> dict[bytes, Size]:
        result: dict[bytes, Size] = {}
        with self._doing(f"reading table {table}"):
            cursor = self._open().cursor(self._tables[table])
            for key, value in key_space.entries(cursor, scope, None):
                at = len(scope or b"")
                size = result.setdefault(bytes(key[:length]), Size())
                size.add(at + len(key), len(value))
        return result

    def close(self) -> None:
        """End the transaction; its views must not be used any more."""
        txn, self._txn = self._txn, None
        if txn is not None and self._is_in_own_process():
            try:
                txn.abort()
            finally:
                self._leave(self._entry)

    def _is_in_own_process(self) -> bool:
        """False in a child that inherited the transaction through ``fork``: nothing is touched
        there."""
        return os.getpid() == self._process

    def _open(self) -> Any:
        if self._txn is None:
            raise self._closed()
        return self._txn

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self._file.path}: the transaction has ended")

    @contextmanager
    def _doing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            raise self._failed(error, doing) from error

    def _failed(self, error: BaseException, doing: str) -> Exception:
        if isinstance(error, lmdb.BadTxnError):
            return CorruptionError(
                f"{self._file.path}: {doing}: this transaction has met damage before, and liblmdb "
                "refuses to go on in it"
            )
        return translate(error, doing, self._file.path)
