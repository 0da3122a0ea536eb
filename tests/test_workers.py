"""Threads that all databases of a process share: tasks, thread counts, the end, forks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from mvdb.threads.workers import Workers, ordered_map


@contextmanager
def made(limit: int, **options: float) -> Iterator[Workers]:
    with Workers(limit, "test", **options) as some:
        yield some


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("test-")]


def test_results_are_in_order_and_threads_few() -> None:
    seen = set()

    def square(number: int) -> int:
        seen.add(threading.current_thread().name)
        time.sleep(0.001)
        return number * number

    with made(3) as some:
        assert list(some.map(square, range(50))) == [n * n for n in range(50)]
        assert list(ordered_map(some, square, range(50))) == [n * n for n in range(50)]
        assert len(alive()) <= 3
        assert all(thread.daemon for thread in alive())
    assert seen <= {"test-0", "test-1", "test-2"}
    assert alive() == []


def test_at_most_a_window_of_items_is_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(30):
            taken = number + 1
            yield number

    with made(2) as some:
        for done, _ in enumerate(ordered_map(some, lambda item: item, items(), 5)):
            assert taken <= done + 1 + 5


def test_a_single_item_needs_no_thread() -> None:
    with made(2) as some:
        here = threading.current_thread()
        assert list(ordered_map(some, lambda _: threading.current_thread(), [1])) == [here]
        assert list(ordered_map(some, lambda item: item, [])) == []
        assert alive() == []


def test_an_error_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    with made(2) as some:
        with pytest.raises(ZeroDivisionError):
            some.submit(lambda: 1 // 0).result()
        assert some.submit(lambda: 5).result() == 5


def test_idle_threads_end() -> None:
    with made(4, idle_seconds=0.05) as some:
        assert sum(some.map(lambda n: n, range(20))) == 190
        end = time.monotonic() + 10
        while alive():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert some.submit(lambda: 3).result() == 3


def test_where_no_thread_can_be_started_the_caller_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the interpreter's end, or at a limit on threads: an insert raised RuntimeError."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with made(2) as some:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        ran = some.submit(threading.current_thread).result(timeout=0)
        assert ran is threading.current_thread()


def test_after_the_end_the_caller_works() -> None:
    some = Workers(2, "test")
    some.shutdown()
    assert some.submit(threading.current_thread).result(timeout=0) is threading.current_thread()


def test_shutting_down_finishes_or_cancels_what_waits() -> None:
    for cancel in (False, True):
        some, go = Workers(1, "test"), threading.Event()
        first = some.submit(go.wait)
        second = some.submit(lambda: 2)
        while not first.running():
            time.sleep(0.001)
        some.shutdown(wait=False, cancel_futures=cancel)
        go.set()
        some.shutdown()
        assert first.result()
        if cancel:
            with pytest.raises(CancelledError):
                second.result()
        else:
            assert second.result(timeout=10) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    with made(2) as some:
        assert some.submit(lambda: 1).result() == 1
        with some._changed:
            child = os.fork()
        if not child:
            os._exit(0 if some.submit(lambda: 7).result(timeout=10) == 7 else 1)
        assert os.waitpid(child, 0)[1] == 0
