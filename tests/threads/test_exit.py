"""The interpreter's end while threads of the library are at work: one process of 24 was aborted
when its background thread was in the middle of a call ("terminate called without an active
exception"), and a thread of the user's that still wrote got RuntimeError from an executor that took
no tasks any more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.threads import exits

EXITS = int(os.environ.get("MVDB_EXITS", "20"))


def test_processes_that_end_at_random_moments(tmp_path: Path) -> None:
    """The short form of ``python -m tests.threads.exits``."""
    seed = int(time.time())
    print("seed", seed)
    assert exits.run(tmp_path, EXITS, jobs=2, seed=seed) == []


HANGING = """
import sys, threading, time
import mvdb
from mvdb.threads import workers
from mvdb.write import maintenance
from mvdb.threads.scheduler import LATER
maintenance.EXIT_SECONDS = 0.5
never = threading.Event()
workers.BUILDING.submit(never.wait)
LATER.call_later(0, never.wait)
db = mvdb.open(sys.argv[1], dim=4)
db._engine.maintenance._do_one = lambda plan: never.wait()
db._engine.maintenance._start()
time.sleep(0.2)
"""


def test_a_thread_that_never_returns_does_not_hold_the_process(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(tmp_path / "a.mvdb")],
        cwd=exits.ROOT,
        timeout=60,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_ends_without_its_parents_threads(tmp_path: Path) -> None:
    """Locks of background threads are held or not as they were at the fork: a child that closed
    the handle or exited could wait for a thread that it does not have."""
    code = f"""
import os, sys
sys.path.insert(0, {str(exits.ROOT)!r})
import mvdb
from tests.index.files import DIM, fill
db = mvdb.open({str(tmp_path / "a.mvdb")!r}, dim=DIM)
fill(db, 150)
maintenance = db._engine.maintenance
with maintenance._turn, maintenance._working:
    child = os.fork()
if not child:
    try:
        fill(db, 1, first=500)
    except mvdb.ClosedError as error:
        assert "fork" in str(error)
        with mvdb.open(db.path) as own:
            fill(own, 20, first=500)
    db.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert len(db) == 170
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
