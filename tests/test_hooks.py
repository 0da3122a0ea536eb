"""Progress and cancellation of long calls: progress rises to its total, and a cancelled call raises
CancelledError and leaves nothing half-done, at whatever check it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.storage import watched_copy
from tests.helpers import DIM, content, fill, matrix
from tests.support.opening import opened

SMALL = Limits(
    train_documents=10**9, flush_bytes=4000, listed_tokens=150, step_bytes=2000, chunk_bytes=2000
)
COUNT = 400


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mvdb.Database]:
    monkeypatch.setattr(watched_copy, "INTERVAL_SECONDS", 0.0)
    path = tmp_path / "a.mvdb"
    with opened(path, SMALL, dim=DIM, durability="relaxed", background=False) as made:
        for first in range(0, COUNT, 40):
            fill(made, 40, first=first)
        made.delete(list(range(0, COUNT, 7)))
        yield made


Call = Callable[[mvdb.Database, dict[str, Any]], object]
CALLS: dict[str, Call] = {
    "search_batch": lambda db, hooks: db.search_batch([matrix(i) for i in range(30)], **hooks),
    "search_batch, one thread": lambda db, hooks: db.search_batch(
        [matrix(i) for i in range(30)], threads=1, **hooks
    ),
    "compact": lambda db, hooks: db.compact(**hooks),
    "compact to": lambda db, hooks: db.compact(db.path.with_name("compacted.mvdb"), **hooks),
    "backup": lambda db, hooks: db.backup(db.path.with_name("backup.mvdb"), **hooks),
    "verify": lambda db, hooks: db.verify(**hooks),
    "verify, shallow": lambda db, hooks: db.verify(deep=False, **hooks),
    "repair": lambda db, hooks: repaired(db, hooks),
}
CANCELLED: dict[str, Call] = {
    **CALLS,
    "optimize": lambda db, hooks: db.optimize(**hooks),
    "insert_batches": lambda db, hooks: db.insert_batches(
        [(f"new {i}", matrix(i)) for i in range(30)], commit_every=10, **hooks
    ),
}


def repaired(db: mvdb.Database, hooks: dict[str, Any]) -> mvdb.Repair:
    """A repair of a copy: the file itself is open for writing."""
    source = db.path.with_name("source.mvdb")
    if not source.exists():
        db.backup(source)
    target = db.path.with_name("repaired.mvdb")
    return mvdb.repair(source, target, **hooks)


@pytest.mark.parametrize("name", CALLS)
def test_progress_rises_to_its_total(db: mvdb.Database, name: str) -> None:
    reports: list[tuple[int, int | None]] = []
    CALLS[name](db, {"progress": lambda done, total: reports.append((done, total))})
    done = [one for one, _ in reports]
    assert reports
    assert done == sorted(done)
    assert reports[-1][0] == reports[-1][1]
    assert all(total is not None and one <= total for one, total in reports)
    if name == "backup":
        assert done[-1] == os.path.getsize(db.path.with_name("backup.mvdb"))
    if name == "repair":
        assert done[-1] == len(db)


class After:
    """An event that is set from the n-th look on."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("name", CANCELLED)
def test_a_cancelled_call_leaves_nothing_half_done(
    db: mvdb.Database, name: str, tmp_path: Path
) -> None:
    """Cancelled at each of its first checks, and then at some."""
    before = content(db.path)
    if name == "repair":
        db.backup(tmp_path / "source.mvdb")
    files = sorted(os.listdir(tmp_path))
    looks, ended = 0, False
    while not ended:
        event = After(looks)
        try:
            CANCELLED[name](db, {"cancel": event})
            ended = True
        except mvdb.CancelledError:
            pass
        if not ended:
            assert sorted(os.listdir(tmp_path)) == files
            after = content(db.path)  # verifies too: no orphans
            if name == "insert_batches":
                assert len(after) - len(before) in (0, 10, 20, 30)
                after = {key: value for key, value in after.items() if key in before}
            assert after == before
        looks = looks + 1 if looks < 8 else looks * 2
    assert looks > 1, "the call never looked"
    assert db.verify().ok


@pytest.mark.parametrize("name", CANCELLED)
def test_what_the_hooks_raise_ends_the_call(db: mvdb.Database, name: str) -> None:
    class Odd(ValueError):
        pass

    def cancel() -> bool:
        raise Odd

    before = content(db.path)
    with pytest.raises(Odd):
        CANCELLED[name](db, {"cancel": cancel})
    assert content(db.path) == before


def test_events_and_functions_of_other_threads(db: mvdb.Database, tmp_path: Path) -> None:
    """A real event, set by another thread while the call runs."""
    event, started = threading.Event(), threading.Event()

    def batches() -> Iterator[Any]:
        for number in range(10**6):
            if number == 50:
                started.set()
                event.wait(60)
            yield f"n{number}", matrix(number)

    def cancel() -> None:
        started.wait(60)
        event.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(mvdb.CancelledError):
        db.insert_batches(batches(), commit_every=20, cancel=event)
    thread.join()
    assert len([name for name in db.ids() if str(name).startswith("n")]) == 40


def test_a_merge_that_was_cancelled_can_be_made_again(db: mvdb.Database) -> None:
    """Its unpublished segment is removed at once: the file has the same parts as before."""
    before = db.stats()
    assert before.segments > 1
    looks = 0
    while True:
        try:
            db.optimize(cancel=After(looks))
            break
        except mvdb.CancelledError:
            now = db.stats()
            if now.segments == 1:  # the merge is complete; what was dropped is the measurement
                assert now.relevance_level is None
            else:
                assert (now.segments, now.bytes) == (before.segments, before.bytes)
        looks += 1
    assert looks > 5
    assert db.stats().segments == 1
