"""Programs that end while their threads cannot: ``python -m tests.threads.endings NAME FILE``."""

from __future__ import annotations

import os
import sys
import threading
import warnings

import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.threads import workers
from mvdb.threads.scheduler import LATER
from tests.index.files import DIM, fill
from tests.support.opening import opened
from tests.support.patience import PATIENCE


def hanging(path: str) -> None:
    """Ends while a thread of each kind waits for what never comes."""
    never, begun = threading.Event(), threading.Semaphore(0)

    def hang(*arguments: object) -> None:
        begun.release()
        never.wait()

    workers.BUILDING.submit(hang)
    LATER.call_later(0, hang)
    db = opened(path, Limits(exit_seconds=0.5), dim=4)
    db._engine.maintenance._work_once = hang
    db._engine.maintenance._start()
    for _ in range(3):
        assert begun.acquire(timeout=PATIENCE)
    print("all of them hang", flush=True)
    keep.append(db)


def forking(path: str) -> None:
    """Forks while threads hold the locks of maintenance; the child writes by a handle of its own
    and exits as any program."""
    db = mvdb.open(path, dim=DIM)
    fill(db, 150)
    maintenance, steps = db._engine.maintenance, db._engine.steps
    turns = steps.turns
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
    with turns._working, maintenance._lock, turns._changed, steps.extending:
        child = os.fork()
    if not child:
        with pytest.raises(mvdb.ClosedError, match="fork"):
            fill(db, 1, first=500)
        with mvdb.open(db.path) as own:
            fill(own, 20, first=500)
        db.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(len(db), "documents")


keep: list[mvdb.Database] = []
"""Databases still open when the interpreter ends."""

if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
