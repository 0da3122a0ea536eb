"""An executor whose threads start on demand and end when idle, shared by all callers.

`concurrent.futures.ThreadPoolExecutor` keeps its threads for its lifetime, takes no tasks while the
interpreter ends, and delays its end until the queue is empty. These threads start when tasks wait
and end after `idle_seconds` without one; at exit each finishes its present task. Where no thread
can be started, the task runs in the calling thread.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Any, TypeVar

from mvdb.threads import shield

BUILD_THREADS = 8
WINDOW = 4
"""Default number of tasks in flight of one `ordered_map`: bounds memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Task = tuple["Future[Any]", Callable[[], Any]]

_all: weakref.WeakSet[Workers] = weakref.WeakSet()


class Workers(Executor):
    """At most `limit` daemon threads. Thread-safe; empty in a child after `fork`."""

    def __init__(self, limit: int, name: str, idle_seconds: float = 2.0) -> None:
        """idle_seconds: time after which a thread without a task ends."""
        self._limit = limit
        self._name = name
        self._idle_seconds = idle_seconds
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._is_shut = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs `fn` in one of the threads, or at once where none can be started."""
        task: Task = (Future(), lambda: fn(*args, **kwargs))
        with self._changed:
            is_queued = not self._is_shut and self._provide_thread()
            if is_queued:
                self._tasks.append(task)
                self._changed.notify()
        if not is_queued:
            _run(task)
        return task[0]

    def _provide_thread(self) -> bool:
        """Whether a thread will take one more task."""
        if self._idle <= len(self._tasks) and len(self._threads) < self._limit:
            number = len(self._threads)
            thread = threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more, or the interpreter is ending
                return number > 0
            self._threads.add(thread)
        return True

    def _work(self) -> None:
        while (task := self._next()) is not None:
            _run(task)
            del task  # frees its arguments while this thread waits

    def _next(self) -> Task | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._tasks or self._is_shut, self._idle_seconds)
            self._idle -= 1
            if self._tasks:
                return self._tasks.popleft()
            self._threads.discard(threading.current_thread())
            return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end once no task waits. Tasks submitted afterwards run in the calling
        thread."""
        with self._changed:
            self._is_shut = True
            waiting = list(self._tasks) if cancel_futures else []
            if cancel_futures:
                self._tasks.clear()
            threads = list(self._threads)
            self._changed.notify_all()
        for future, _ in waiting:
            future.cancel()
        if wait:
            for thread in threads:
                thread.join()


def _run(task: Task) -> None:
    future, function = task
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def ordered_map(
    executor: Executor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    window: int = WINDOW,
) -> Iterator[Result]:
    """Results in the order of the items, at most `window` >= 2 of them in flight, so that callers
    share the threads fairly. A single item runs in the calling thread: a small commit starts no
    threads."""
    source = iter(items)
    first = list(islice(source, 2))
    if len(first) == 1:
        yield function(first[0])
        return
    running = deque(executor.submit(function, item) for item in first)
    running.extend(executor.submit(function, item) for item in islice(source, window - 2))
    while running:
        shield.check()
        result = running.popleft().result()
        running.extend(executor.submit(function, item) for item in islice(source, 1))
        yield result


BUILDING = Workers(min(BUILD_THREADS, os.cpu_count() or 1), "mvdb-build")
"""Builds segments, for all databases of the process."""


def stop_all(seconds: float) -> None:
    """At the interpreter's end: each thread finishes its present task, in about `seconds`. Waiting
    tasks are dropped: only daemon threads can wait for their results."""
    everyone = list(_all)
    threads: list[threading.Thread] = []
    for workers in everyone:
        with workers._changed:
            workers._tasks.clear()
            threads += workers._threads
        workers.shutdown(wait=False)
    join(threads, seconds)


def join(threads: Iterable[threading.Thread], seconds: float) -> None:
    """Waits for threads, at most `seconds` in all."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _forget_all_in_child() -> None:
    for workers in _all:
        workers._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
