"""The interpreter's end while threads of the library are at work: one process of 24 was aborted
when its background thread was in the middle of a call ("terminate called without an active
exception"), and a thread of the user's that still wrote got RuntimeError from an executor that took
no tasks any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.children import run_program
from tests.support.patience import PATIENCE
from tests.threads import exits

EXITS = int(os.environ.get("MVDB_EXITS", "20"))


def test_processes_that_end_at_random_moments(tmp_path: Path) -> None:
    """The short form of ``python -m tests.threads.exits``."""
    seed = int(time.time())
    print("seed", seed)
    assert exits.run(tmp_path, EXITS, jobs=2, seed=seed) == []


def test_a_thread_that_never_returns_does_not_hold_the_process(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = run_program("tests.threads.endings", "hanging", tmp_path / "a.mvdb")
    assert (done.returncode, done.stdout) == (0, "all of them hang\n"), done.stderr
    assert time.monotonic() - begin < PATIENCE / 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_ends_without_its_parents_threads(tmp_path: Path) -> None:
    """Locks of background threads are held or not as they were at the fork: a child that closed
    the handle or exited could wait for a thread that it does not have."""
    done = run_program("tests.threads.endings", "forking", tmp_path / "a.mvdb")
    assert (done.returncode, done.stdout, done.stderr) == (0, "170 documents\n", "")
