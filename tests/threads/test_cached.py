"""Values made at their first use: once, and without a lock that could stay locked.

`optimize` waited for ever when a thread had been taken out of the lock of `functools`, which all
objects of a class share, by an exception between two bytecodes.
"""

from __future__ import annotations

import threading
from typing import Any

from mvdb.threads.cached import cached
from tests.support.patience import PATIENCE


class Numbered:
    """Makes a number when it is asked for one."""

    def __init__(self, make: Any) -> None:
        self.make = make

    @cached
    def number(self) -> int:
        """The number."""
        return int(self.make())


def test_the_value_is_made_once() -> None:
    made: list[int] = []
    one = Numbered(lambda: made.append(1) or 7)
    assert (one.number, one.number, made) == (7, 7, [1])
    assert Numbered.number.__doc__ == "The number."


def test_no_object_waits_for_another() -> None:
    gate, begun = threading.Event(), threading.Event()
    slow = Numbered(lambda: begun.set() or gate.wait(PATIENCE))
    thread = threading.Thread(target=lambda: slow.number)
    thread.start()
    try:
        assert begun.wait(PATIENCE)
        found: list[int] = []
        other = threading.Thread(target=lambda: found.append(Numbered(lambda: 3).number))
        other.start()
        other.join(5)
        assert found == [3]
    finally:
        gate.set()
        thread.join()


def test_a_value_that_could_not_be_made_is_made_later() -> None:
    answers = iter([0, 5])
    one = Numbered(lambda: 5 // next(answers))
    for _ in range(2):
        try:
            assert one.number == 1
        except ZeroDivisionError:
            continue
