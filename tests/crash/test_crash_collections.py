"""SIGKILL amid transactions over several collections, and amid making and dropping of one: after
each kill all collections are in the same state, the last acknowledged one or the one in flight."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

import mvdb
from tests.crash import victims
from tests.crash.rounds import kill_after
from tests.crash.victims import BEGIN, DONE, READY, say
from tests.support.model import Model, check_content, make_entry

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and forkserver are POSIX")

KILLS = int(os.environ.get("MVDB_KILLS", "108")) // 4
SEED = int(os.environ.get("MVDB_SEED", "20250"))
DIM = 3
DROP_EVERY = 5


def model_after(step: int, shift: int) -> Model:
    """Three documents of each step, of which the next step deletes one."""
    gone = {10 * one for one in range(step)}
    return {
        10 * one + i: make_entry(10 * one + i, shift, DIM)
        for one in range(step + 1)
        for i in range(3)
        if 10 * one + i not in gone
    }


def write_on(pipe: Connection, path: str, step: int) -> None:
    """Steps from `step` on: one transaction in all collections; now and then another collection is
    made, filled and dropped."""
    db = mvdb.open(path, dim=DIM, bits=16)
    db.collection("mail", dim=DIM, bits=16)
    db.collection("calendar", dim=DIM, bits=16)
    say(pipe, READY)
    while True:
        say(pipe, BEGIN, step)
        if step % DROP_EVERY == 0:
            passing = db.collection("passing", dim=DIM)
            passing.upsert(list(range(30)), [make_entry(i, 0, DIM).vectors for i in range(30)])
        with db.transaction() as txn:
            for shift, part in enumerate((txn, *map(txn.collection, ("mail", "calendar")))):
                entries = {10 * step + i: make_entry(10 * step + i, shift, DIM) for i in range(3)}
                part.insert(
                    list(entries),
                    [entry.vectors for entry in entries.values()],
                    texts=[entry.text for entry in entries.values()],
                    metadata=[entry.metadata for entry in entries.values()],
                )
                part.delete(10 * (step - 1))
        if step % DROP_EVERY == 0:
            db.drop_collection("passing")
        say(pipe, DONE, step)
        step += 1


def test_a_kill_leaves_all_collections_in_one_state(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    path = str(tmp_path / "a.mvdb")
    last, in_flight = -1, 0
    for _ in range(KILLS):
        process, pipe = victims.start(write_on, path, last + 1)
        heard = kill_after(process, pipe, int(rng.integers(0, 8)), rng.uniform(0.0005, 0.02))
        done = max((number for what, number in heard if what == DONE), default=last)
        begun = max((number for what, number in heard if what == BEGIN), default=done)
        in_flight += begun > done
        with mvdb.open(path, dim=DIM, bits=16) as db:
            report = db.verify()
            assert report.ok, report.problems
            there = max(db.ids(), default=-1)
            assert isinstance(there, int)
            last = there // 10
            assert last in (done, begun)
            assert set(db.collections()) <= {"mail", "calendar", "passing"}
            for shift, name in enumerate(("", "mail", "calendar")):
                part = db.collection(name, dim=DIM, bits=16) if name else db
                check_content(part, model_after(last, shift) if last >= 0 else {}, 16)
            if "passing" in db.collections():
                assert len(db.collection("passing")) in (0, 30)
    assert last > KILLS // 2, "the writers hardly got to write"
    assert in_flight > KILLS // 4, "hardly any kill met a step"
