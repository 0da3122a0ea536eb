"""The one thread that writes to a database, and the turns of the tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from mvdb.errors import BusyError

T = TypeVar("T")


class Writer:
    """Used in one event loop. The thread begins with the first write and lives until `close`: a
    transaction belongs to the thread that began it."""

    def __init__(self, name: str) -> None:
        """name: of the file, for messages."""
        self._name = name
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._is_closed = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Runs a function in the thread, behind those that were submitted before."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "mvdb-aio-writer")
        return self._thread.submit(function)

    async def enter(self, timeout: float | None) -> float | None:
        """Waits for the turn; returns the rest of `timeout` (seconds; None: no limit). BusyError
        when time is up, or when the task has the turn already."""
        begun = time.monotonic()
        if self._owner is not None and self._owner is asyncio.current_task():
            raise BusyError(
                f"{self._name}: this task has a transaction open; write with that, or end it"
            )
        if not self._turn.locked():
            await self._turn.acquire()
        else:
            try:
                await asyncio.wait_for(self._turn.acquire(), timeout)
            except asyncio.TimeoutError:
                raise BusyError(
                    f"{self._name}: another task kept its transaction for longer than {timeout} s"
                ) from None
        self._owner, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        return None if timeout is None else max(0.0, begun + timeout - time.monotonic())

    def leave(self) -> None:
        """Ends the turn."""
        self._owner = None
        self._turn.release()
        if self._is_closed:
            self._end()

    def leave_after(self, future: Future[Any]) -> None:
        """Ends the turn when a future is done; from any thread."""
        loop = self._loop
        assert loop is not None

        def leave(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for a turn
                loop.call_soon_threadsafe(self.leave)

        future.add_done_callback(leave)

    async def run_in_turn(self, function: Callable[[], T]) -> T:
        """The result of a function, run in a turn of its own. When the task is cancelled, the turn
        ends when the function does."""
        await self.enter(None)
        future = self.submit(function)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if future.done():
                self.leave()
            else:
                self.leave_after(future)

    def close(self) -> None:
        """Lets the thread end, after the turn under way."""
        self._is_closed = True
        if not self._turn.locked():
            self._end()

    def _end(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
