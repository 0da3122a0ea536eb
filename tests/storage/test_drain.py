"""The count of transactions, when what is to be told of them changes while they come and go."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mvdb.storage.drain import Drain

CHANGES = 200
PAUSE = 0.003
"""Seconds between two changes: long enough for some hundreds of entries."""
SECONDS = 60.0
"""A thread that is not scheduled may stay inside for long."""


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Threads take turns between any two bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Teller:
    """Whether readers are shown to writers, and how often that was said without a change."""

    def __init__(self) -> None:
        self.shown = False
        self.repeated = 0

    def __call__(self, shown: bool) -> None:
        self.repeated += self.shown is shown
        self.shown = shown


@contextlib.contextmanager
def in_threads(step: Callable[[], None]) -> Iterator[None]:
    """Do the step over and over in four threads during the block."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            step()

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_who_is_told_of_a_beginning_is_told_of_the_end() -> None:
    """A reader without lock file that joins the reader table must not stay visible as one without:
    writers would wait for ever."""
    drain, teller = Drain("file"), Teller()
    drain.tell(teller)
    stuck = 0
    with in_threads(lambda: drain.leave(drain.enter())):
        for _ in range(CHANGES):
            with drain.emptied(seconds=SECONDS):
                drain.tell(None)
            time.sleep(PAUSE)
            stuck += teller.shown
            with drain.emptied(seconds=SECONDS):
                drain.tell(teller)
            time.sleep(PAUSE)
    assert stuck == 0
    assert not teller.shown
    assert teller.repeated == 0
    assert drain.inside == 0


def test_who_enters_is_told_as_the_file_is_opened() -> None:
    """An entry from before that nobody is told of would read unseen in a file without lock file."""
    drain, teller = Drain("file"), Teller()
    is_told, unseen = [False], [0]

    def read() -> None:
        entry = drain.enter()
        unseen[0] += is_told[0] and not teller.shown
        drain.leave(entry)

    with in_threads(read):
        for _ in range(CHANGES):
            for told in (True, False):
                with drain.emptied(seconds=SECONDS):
                    is_told[0] = told
                    drain.tell(teller if told else None)
                time.sleep(PAUSE)
    assert unseen == [0]


def test_an_entry_that_is_lost_is_told_of() -> None:
    lost: list[bool] = []
    drain, teller = Drain("file", lambda: lost.append(True)), Teller()
    drain.tell(teller)
    entry = drain.enter()
    assert teller.shown
    del entry
    assert not teller.shown
    assert lost == [True]
    assert drain.inside == 0
