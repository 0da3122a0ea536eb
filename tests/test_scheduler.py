"""Work for later: its order, cancelling, the thread that ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mvdb.threads.scheduler import Scheduler
from tests.support.patience import PATIENCE


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.002)


def threads_of(scheduler: Scheduler) -> int:
    return int(scheduler._thread is not None and scheduler._thread.is_alive())


def test_functions_are_called_in_the_order_of_their_times() -> None:
    scheduler, called = Scheduler(), list[int]()
    for number, seconds in enumerate((1.5, 0.5, 1.0, 0.0)):
        scheduler.call_later(seconds, lambda number=number: called.append(number))
    wait_for(lambda: len(called) == 4)
    assert called == [3, 1, 2, 0]


def test_a_nearer_appointment_does_not_wait_for_a_farther_one() -> None:
    scheduler, called = Scheduler(), threading.Event()
    far = scheduler.call_later(3600, called.clear)
    scheduler.call_later(0.01, called.set)
    assert called.wait(PATIENCE)
    scheduler.cancel(far)


def test_the_thread_ends_with_the_last_appointment_and_begins_again() -> None:
    scheduler, called = Scheduler(), list[int]()
    assert threads_of(scheduler) == 0
    for number in range(3):
        scheduler.call_later(0, lambda number=number: called.append(number))
        wait_for(lambda: threads_of(scheduler) == 0)
    assert called == [0, 1, 2]
    appointments = [scheduler.call_later(3600, lambda: None) for _ in range(100)]
    assert threads_of(scheduler) == 1
    for appointment in appointments:
        scheduler.cancel(appointment)
    wait_for(lambda: threads_of(scheduler) == 0)


def test_cancelling_waits_for_a_call_that_is_under_way() -> None:
    scheduler, begun, done = Scheduler(), threading.Event(), list[int]()

    def function() -> None:
        begun.set()
        time.sleep(0.1)
        done.append(1)

    appointment = scheduler.call_later(0, function)
    assert begun.wait(10)
    scheduler.cancel(appointment)
    assert done == [1]
    scheduler.cancel(appointment)


def test_a_function_may_cancel_itself_and_schedule_others() -> None:
    scheduler, called = Scheduler(), list[int]()

    def function() -> None:
        scheduler.cancel(appointment)
        called.append(1)
        if len(called) < 3:
            scheduler.call_later(0, function)

    appointment = scheduler.call_later(0, function)
    wait_for(lambda: len(called) == 3)


def test_nothing_is_called_after_the_end() -> None:
    scheduler, called = Scheduler(), list[int]()
    scheduler.call_later(0.05, lambda: called.append(1))
    scheduler.stop(10)
    scheduler.call_later(0, lambda: called.append(2))
    time.sleep(0.1)
    assert (called, threads_of(scheduler)) == ([], 0)
