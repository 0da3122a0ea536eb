"""Asynchronous twins of methods, made from the methods: a twin has the name, the signature and the
documentation of its original, for readers, type checkers and editors.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from itertools import islice
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from mvdb.hooks import Hooks
from mvdb.threads.workers import Workers
from mvdb.types import Hit, Profile

READ_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Calls that read at the same time, of all databases of the process: as many as asyncio's default
executor has threads."""
READS = Workers(READ_THREADS, "mvdb-aio")
STEP = 256
"""Entries of an iterator that are got from a thread at a time."""

P = ParamSpec("P")
T = TypeVar("T")
Sync = TypeVar("Sync")
Self = TypeVar("Self", bound="Handle[Any]")
Made = TypeVar("Made", bound="Handle[Any]")


class Handle(ABC, Generic[Sync]):
    """A handle whose calls run in threads. An asynchronous context manager.

    sync: the handle of `mvdb` that does the work."""

    def __init__(self, sync: Sync) -> None:
        self.sync = sync

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave(failed=kind is not None)

    @abstractmethod
    async def leave(self, *, failed: bool) -> None:
        """The end of an ``async with`` block, left by an exception or not."""

    async def run(self, function: Callable[[], T]) -> T:
        """The result of a function, run in a thread."""
        return await asyncio.wrap_future(READS.submit(function))


class Entering(Generic[Made]):
    """A handle to come: awaited, or entered with ``async with``."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Made]]) -> None:
        self._make = make
        self._made: Made | None = None

    def __await__(self) -> Generator[Any, None, Made]:
        return self._make().__await__()

    async def __aenter__(self) -> Made:
        self._made = await self._make()
        return self._made

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._made is not None
        await self._made.__aexit__(kind, error, trace)


def awaited(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Handle[Any], P], Coroutine[Any, Any, T]]:
    """The twin of a method."""

    @functools.wraps(method)
    async def call(self: Handle[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(lambda: settled(method(self.sync, *args, **kwargs)))

    return call


def awaited_long(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Handle[Any], P], Coroutine[Any, Any, T]]:
    """The twin of a method that takes `progress` and `cancel`. When the task is cancelled, so is
    the call, at its next check."""

    @functools.wraps(method)
    async def call(self: Handle[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with hooked(kwargs) as hooks:
            return await self.run(lambda: settled(method(self.sync, *args, **{**kwargs, **hooks})))

    return call


def iterated(
    method: Callable[Concatenate[Any, P], Iterator[T]],
) -> Callable[Concatenate[Handle[Any], P], AsyncIterator[T]]:
    """The twin of a method that returns an iterator."""

    @functools.wraps(method)
    async def call(self: Handle[Any], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        iterator = await self.run(lambda: method(self.sync, *args, **kwargs))
        while step := await self.run(lambda: list(islice(iterator, STEP))):
            for one in step:
                yield one

    return call


class hooked:
    """The hooks of a long call, for the length of a block in a task: `progress` is called in the
    event loop, and the cancellation of the task cancels the call."""

    def __init__(self, given: dict[str, Any]) -> None:
        """given: the arguments of the call. Raises InvalidInputError."""
        self._progress = given.get("progress")
        self._given = Hooks.checked(self._progress, given.get("cancel"))
        self._cancelled = threading.Event()

    def __enter__(self) -> dict[str, Any]:
        loop, progress = asyncio.get_running_loop(), self._progress
        hooks: dict[str, Any] = {"cancel": self._is_cancelled}
        if progress is not None:
            hooks["progress"] = lambda *report: loop.call_soon_threadsafe(progress, *report)
        return hooks

    def _is_cancelled(self) -> bool:
        self._given.check()
        return self._cancelled.is_set()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._cancelled.set()


def settled(result: T) -> T:
    """A result whose hits have read their text and metadata, in the thread that may read them."""
    hits = result.hits if isinstance(result, Profile) else result
    for one in hits if isinstance(hits, list) else ():
        if isinstance(one, list):
            settled(one)
        elif isinstance(one, Hit):
            one.load()
    return result


async def made(function: Callable[[], T], undo: Callable[[T], object]) -> T:
    """The result of a function, run in a thread. A result that a cancelled task does not get is
    given to `undo`, in that thread."""
    future: Future[T] = READS.submit(function)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: _undo(done, undo))
        raise


def _undo(future: Future[T], undo: Callable[[T], object]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())


async def carried_through(future: Future[T]) -> T:
    """The result of a future. When the task is cancelled meanwhile, its end is awaited, and then
    the cancellation goes on."""
    outcome = asyncio.ensure_future(asyncio.wrap_future(future))
    cancellation: asyncio.CancelledError | None = None
    while not outcome.done():
        try:
            await asyncio.wait([outcome])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        outcome.exception()  # looked at, so that asyncio does not report it
        raise cancellation
    return outcome.result()
