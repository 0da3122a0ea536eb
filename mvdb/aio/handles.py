"""Databases, snapshots and transactions for asyncio; see `mvdb.aio`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from mvdb import arguments
from mvdb.aio.delegation import (
    READS,
    Entering,
    Handle,
    Sync,
    awaited,
    awaited_long,
    carried_through,
    hooked,
    iterated,
    made,
    settled,
)
from mvdb.aio.writer import Writer
from mvdb.api import database, readable, snapshot, transaction
from mvdb.api import open as opening

P = ParamSpec("P")
T = TypeVar("T")
_Sync = readable.Readable


class Readable(Handle[Sync]):
    """Reading calls of databases, snapshots and transactions."""

    search = awaited(_Sync.search)
    search_batch = awaited_long(_Sync.search_batch)
    profile = awaited(_Sync.profile)
    more_like = awaited(_Sync.more_like)
    rerank = awaited(_Sync.rerank)
    explain = awaited(_Sync.explain)
    get = awaited(_Sync.get)
    vectors = awaited(_Sync.vectors)
    count = awaited(_Sync.count)
    facets = awaited(_Sync.facets)
    tenants = awaited(_Sync.tenants)
    contains = awaited(_Sync.__contains__)
    collections = awaited(_Sync.collections)
    ids = iterated(_Sync.ids)
    documents = iterated(_Sync.documents)

    @property
    def dim(self) -> int:
        """Dimensions of a token vector."""
        dim: int = self.sync.dim  # type: ignore[attr-defined]
        return dim


class Snapshot(Readable[snapshot.Snapshot]):
    """A `mvdb.Snapshot` for asyncio."""

    async def leave(self, *, failed: bool) -> None:
        await self.close()

    async def close(self) -> None:
        """Releases the state. A second call has no effect."""
        await carried_through(READS.submit(self.sync.close))

    @functools.wraps(snapshot.Snapshot.collection)
    def collection(self, *args: Any, **kwargs: Any) -> Entering[Snapshot]:
        async def make() -> Snapshot:
            part = partial(self.sync.collection, *args, **kwargs)
            return Snapshot(await made(part, snapshot.Snapshot.close))

        return Entering(make)


class Transaction(Readable[transaction.Transaction]):
    """A `mvdb.Transaction` for asyncio. All its calls run in the writing thread of the database, in
    their order. Without references it is rolled back."""

    def __init__(
        self, sync: transaction.Transaction, writer: Writer, whole: Transaction | None = None
    ) -> None:
        """whole: the transaction that this one is a part of."""
        super().__init__(sync)
        self._writer = writer
        self._whole = whole
        self._has_turn = whole is None

    def __del__(self) -> None:
        if self._has_turn:
            with suppress(RuntimeError):  # the interpreter is ending, and takes no more work
                self._writer.leave_after(self._writer.submit(self.sync.rollback))

    insert = awaited(transaction.Transaction.insert)
    upsert = awaited(transaction.Transaction.upsert)
    update = awaited(transaction.Transaction.update)
    delete = awaited(transaction.Transaction.delete)
    delete_tenant = awaited(transaction.Transaction.delete_tenant)

    async def run(self, function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._writer.submit(function))

    async def leave(self, *, failed: bool) -> None:
        if self._has_turn:
            await (self.rollback() if failed else self.commit())

    async def commit(self) -> None:
        """See `mvdb.Transaction.commit`. Carried through when the task is cancelled meanwhile."""
        if self._whole is not None:
            await self._whole.commit()
        else:
            await self._end(self.sync.commit)

    async def rollback(self) -> None:
        """See `mvdb.Transaction.rollback`."""
        if self._whole is not None:
            await self._whole.rollback()
        else:
            await self._end(self.sync.rollback)

    @functools.wraps(transaction.Transaction.collection)
    def collection(self, *args: Any, **kwargs: Any) -> Entering[Transaction]:
        async def make() -> Transaction:
            part = await self.run(partial(self.sync.collection, *args, **kwargs))
            return Transaction(part, self._writer, self)

        return Entering(make)

    async def _end(self, function: Callable[[], None]) -> None:
        try:
            await carried_through(self._writer.submit(function))
        finally:
            if self._has_turn:
                self._has_turn = False
                self._writer.leave()

    @property
    def collects_for_training(self) -> bool:
        """See `mvdb.Transaction.collects_for_training`."""
        return self.sync.collects_for_training


def written(
    method: Callable[Concatenate[transaction.Transaction, P], T],
) -> Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]:
    """The twin of a method of databases that writes in a transaction of its own: that of the
    transaction, in one."""

    @functools.wraps(getattr(database.Database, method.__name__))
    async def call(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.transaction() as txn:
            return await txn.run(lambda: method(txn.sync, *args, **kwargs))

    return call


def streamed(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]:
    """The twin of a method that writes in several transactions, and takes `progress` and
    `cancel`."""

    @functools.wraps(method)
    async def call(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with hooked(kwargs) as hooks:
            return await self.writer.run_in_turn(
                lambda: settled(method(self.sync, *args, **{**kwargs, **hooks}))
            )

    return call


class Database(Readable[database.Database]):
    """A `mvdb.Database` for asyncio; made by `mvdb.aio.open`.

    writer: the writing thread, one for all collections of the file."""

    def __init__(self, sync: database.Database, writer: Writer | None = None) -> None:
        """writer: of the database of the file, for one of its collections."""
        super().__init__(sync)
        self._is_whole = writer is None
        self.writer = writer or Writer(str(sync.path))

    def __repr__(self) -> str:
        return repr(self.sync).replace("mvdb.", "mvdb.aio.", 1)

    @property
    def bits(self) -> int:
        """Bits per dimension of a residual."""
        return self.sync.bits

    @property
    def name(self) -> str | None:
        """Of the collection; None for the database that `mvdb.aio.open` gives."""
        return self.sync.name

    @property
    def path(self) -> Path:
        """The file."""
        return self.sync.path

    @property
    def readonly(self) -> bool:
        """Whether this handle refuses writes."""
        return self.sync.readonly

    encode = awaited(database.Database.encode)
    insert = written(transaction.Transaction.insert)
    upsert = written(transaction.Transaction.upsert)
    update = written(transaction.Transaction.update)
    delete = written(transaction.Transaction.delete)
    delete_tenant = written(transaction.Transaction.delete_tenant)
    insert_batches = streamed(database.Database.insert_batches)
    stats = awaited(database.Database.stats)
    optimize = awaited_long(database.Database.optimize)
    compact = awaited_long(database.Database.compact)
    backup = awaited_long(database.Database.backup)
    verify = awaited_long(database.Database.verify)

    def transaction(self, timeout: float | None = None) -> Entering[Transaction]:
        """See `mvdb.Database.transaction`. Waits for the other tasks, and then for other writers of
        the file, at most `timeout` seconds in all."""
        seconds = arguments.seconds("timeout", timeout)
        return Entering(lambda: self._begin(seconds))

    async def _begin(self, timeout: float | None) -> Transaction:
        left = await self.writer.enter(timeout)
        future = self.writer.submit(lambda: self.sync.transaction(left))
        try:
            return Transaction(await asyncio.wrap_future(future), self.writer)
        except asyncio.CancelledError:
            # Behind the beginning, in the same thread.
            self.writer.leave_after(self.writer.submit(lambda: _roll_back(future)))
            raise
        except BaseException:
            self.writer.leave()
            raise

    def snapshot(self) -> Entering[Snapshot]:
        """See `mvdb.Database.snapshot`."""

        async def make() -> Snapshot:
            return Snapshot(await made(self.sync.snapshot, snapshot.Snapshot.close))

        return Entering(make)

    @functools.wraps(database.Database.collection)
    def collection(self, *args: Any, **kwargs: Any) -> Entering[Database]:
        opened = partial(self.sync.collection, *args, **kwargs)

        async def make() -> Database:
            if kwargs.get("name", args[0] if args else None) in await self.collections():
                part = await made(opened, database.Database.close)
            else:
                part = await self.writer.run_in_turn(opened)
            return Database(part, self.writer)

        return Entering(make)

    @functools.wraps(database.Database.drop_collection)
    async def drop_collection(self, *args: Any, **kwargs: Any) -> None:
        await self.writer.run_in_turn(partial(self.sync.drop_collection, *args, **kwargs))

    async def leave(self, *, failed: bool) -> None:
        await self.close()

    async def close(self) -> None:
        """See `mvdb.Database.close`. An open transaction is rolled back at its end."""
        try:
            await carried_through(READS.submit(self.sync.close))
        finally:
            if self._is_whole:
                self.writer.close()


def _roll_back(begun: Future[transaction.Transaction]) -> None:
    if not begun.cancelled():
        with suppress(Exception):
            begun.result().rollback()


def _opened(function: Callable[P, database.Database]) -> Callable[P, Entering[Database]]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Entering[Database]:
        async def make() -> Database:
            return Database(await made(lambda: function(*args, **kwargs), database.Database.close))

        return Entering(make)

    return call


open = _opened(opening.open)
