"""Handles that do nothing need no threads: each had one of its own for five seconds after opening,
and kept those that had built its first segment until it was closed."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path

import numpy as np

import mvdb
from mvdb.limits import Limits
from mvdb.threads.workers import BUILD_THREADS

FEW = BUILD_THREADS + 1
"""Threads of the process for building, and the scheduler's."""


def test_three_hundred_open_databases_have_few_threads(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    before = threading.active_count()
    databases = []
    most = 0
    for number in range(300):
        db = mvdb.open(tmp_path / f"{number}.mvdb", dim=8, map_size=1 << 20)
        databases.append(db)
        db.insert(1, rng.standard_normal((3, 8)), texts=f"text {number}")
        most = max(most, threading.active_count() - before)
    assert most <= FEW
    assert [len(db) for db in databases] == [1] * 300
    for db in databases:
        db.close()
    assert threading.active_count() - before <= FEW


def test_searches_that_read_ahead_share_their_threads(tmp_path: Path) -> None:
    """A handle with prefetch="read" kept 16 threads of its own."""
    rng = np.random.default_rng(1)
    before = threading.active_count()
    databases = []
    for number in range(10):
        db = mvdb.open(tmp_path / f"{number}.mvdb", dim=8, prefetch="read", background=False)
        db.insert(list(range(40)), list(rng.standard_normal((40, 3, 8))))
        db.search(rng.standard_normal((3, 8)), exact=True)
        databases.append(db)
    assert threading.active_count() - before <= 16 + BUILD_THREADS
    for db in databases:
        db.close()


def test_a_handle_that_nobody_has_any_more_is_let_go(tmp_path: Path) -> None:
    """What is to be done some time after opening kept it open until then."""
    db = mvdb.open(tmp_path / "a.mvdb", dim=8)
    gone = weakref.ref(db)
    del db
    gc.collect()
    assert gone() is None


def test_the_thread_of_the_scheduler_ends(tmp_path: Path) -> None:
    def schedulers() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "mvdb-scheduler"]

    assert Limits().opening_seconds > 1
    with mvdb.open(tmp_path / "a.mvdb", dim=8):
        assert len(schedulers()) == 1
    end = time.monotonic() + 10
    while schedulers():
        assert time.monotonic() < end
        time.sleep(0.01)
