"""Runs steps that the exception of a signal handler cannot interrupt.

Python runs signal handlers in the main thread, between any two bytecodes, and what a handler raises
(`KeyboardInterrupt`) is raised there: between taking a lock and noting that it is held, or between
a commit and its bookkeeping. No arrangement of ``try`` closes every such gap. So another thread
runs each step of the main thread that must not be interrupted, and the main thread waits for its
end; afterwards it raises the exception that came meanwhile. Steps of other threads, which no
handler interrupts, run in the calling thread.

One thread, started at the first step, serves the process. Steps of the main thread may nest: an
inner one is part of the outer. REQUIRES: the caller of `run` holds no lock, because the step may
need it. A long step calls `check` at points where it may safely end early.
"""

from __future__ import annotations

import atexit
import os
import threading
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from mvdb.errors import Error

T = TypeVar("T")


class Cancelled(BaseException):
    """The main thread was interrupted; raised by `check` within a step, and never outside of
    `run`."""


class _Step:
    """A step that was submitted. ``ended`` is set before ``wake`` is released, once."""

    __slots__ = ("cancelled", "ended", "error", "function", "result", "taken", "wake")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.result: Any = None
        self.error: BaseException | None = None
        self.cancelled = False
        self.taken = False
        self.ended = False
        self.wake = allocate_lock()
        self.wake.acquire()

    def perform(self) -> None:
        try:
            if self.cancelled:
                raise Cancelled
            self.result = self.function()
        except BaseException as error:
            self.error = error
        self.ended = True
        self.wake.release()


class _Shield:
    """The process's shield; a child after ``fork`` makes its own."""

    def __init__(self) -> None:
        self.main = threading.main_thread()
        self.main_ident = self.main.ident
        self.ident: int | None = None
        self.steps: SimpleQueue[_Step | None] = SimpleQueue()
        self.current: _Step | None = None
        self.thread: threading.Thread | None = None
        self.ended = False
        self._electing = allocate_lock()

    def is_needed(self) -> bool:
        return get_ident() == self.main_ident and not self.ended

    def begin(self) -> None:
        if self.thread is None:
            try:
                threading.Thread(target=self._serve, name="mvdb-shield", daemon=True).start()
            except RuntimeError as error:
                raise Error(
                    f"the system gives mvdb no thread ({error}); raise the limit of processes or "
                    "of memory"
                ) from error

    def _serve(self) -> None:
        with self._electing:
            if self.thread is not None:
                return  # an interruption started several threads
            self.thread, self.ident = threading.current_thread(), get_ident()
        while True:
            step = self.steps.get()
            if step is None:
                return
            if step.taken:
                continue  # submitted twice, by a thread that was interrupted in between
            step.taken = True
            self.current = step
            step.perform()
            self.current = step = None


_shield = _Shield()


def run(function: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """The result of ``function``, run to its end even if the main thread is interrupted.

    Raises what ``function`` raises; `Error` when the system has no thread for it; after an
    interruption the exception that interrupted, with the step done as a whole or not at all. A
    result that the caller will not get is then given to ``undo``."""
    shield = _shield
    if not shield.is_needed():
        return function()
    shield.begin()
    step = _Step(function)
    interruption: BaseException | None = None
    while not step.ended:
        try:
            if not step.taken:
                shield.steps.put(step)
            while not step.ended:
                step.wake.acquire()
        except BaseException as error:
            interruption = error
            step.cancelled = True
    try:
        if interruption is not None:
            raise interruption
        if step.error is not None:
            raise step.error
        result: T = step.result
        return result
    except BaseException:
        if step.error is None and undo is not None:
            run(partial(undo, step.result))
        raise
    finally:
        step.result = step.error = interruption = None  # no cycles with tracebacks


def post(function: Callable[[], object]) -> None:
    """Runs ``function`` later, without waiting for it: for finalisers, which may run while their
    thread holds any lock. Exceptions of the function are dropped."""
    if _shield.ended:
        function()
        return
    _shield.steps.put(_Step(function))
    with suppress(Error):  # no thread now: the next step starts one
        _shield.begin()


def check() -> None:
    """Within a step of the main thread: raises `Cancelled` once the main thread was interrupted."""
    shield = _shield
    if get_ident() == shield.ident:
        step = shield.current
        if step is not None and step.cancelled:
            raise Cancelled


def caller() -> threading.Thread:
    """The thread on whose behalf this one runs: the main thread's steps are its own."""
    return _shield.main if get_ident() == _shield.ident else threading.current_thread()


def is_served_by(thread: threading.Thread) -> bool:
    """Whether this is the thread that steps of the main thread run in."""
    return thread is _shield.thread


def _end() -> None:
    """At exit, after all other handlers of mvdb: no code can wait for another thread afterwards."""
    shield = _shield
    shield.ended = True
    if shield.thread is not None:
        shield.steps.put(None)
        shield.thread.join()


def _begin_anew() -> None:
    global _shield
    _shield = _Shield()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
