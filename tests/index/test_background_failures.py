"""Failures of the background thread: they vanished (a bug of ours was printed by the hook for
threads at best), and the thread tried again at each commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import mvdb
from mvdb.segment.segment_writer import Sealed
from mvdb.storage.environment import Environment, ReadTransaction
from mvdb.threads.scheduler import Appointment, Scheduler
from mvdb.write.merge import Merge, SegmentGone
from tests.index.files import DIM, check, fill
from tests.index.test_maintenance import LIMITS as MAINTAINED
from tests.index.test_maintenance import at_rest, wait_for
from tests.support.opening import opened

LIMITS = replace(MAINTAINED, commit_tokens=0)
"""All merges are maintenance's."""
Steps = Iterator[list[Sealed]]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with opened(tmp_path / "a.mvdb", LIMITS, dim=DIM) as db:
        fill(db, 120)
        wait_for(lambda: at_rest(db))
        yield db


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hook for exceptions of threads was told."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: told.append(str(arguments)))
    return told


def failing(error: BaseException, count: list[int]) -> Callable[[Merge], Steps]:
    """What is to be taken for `Merge.steps`."""

    def steps(self: Merge) -> Steps:
        count.append(1)
        raise error
        yield

    return steps


@pytest.mark.parametrize(
    "error", [KeyError("a slip"), mvdb.StorageFullError("the disk is full"), SystemExit(3)]
)
def test_the_last_failure_is_kept_and_not_repeated_at_each_commit(
    db: mvdb.Database,
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    """A LookupError counted as "another process was faster"."""
    assert db.stats().maintenance_error is None
    count: list[int] = []
    monkeypatch.setattr(Merge, "steps", failing(error, count))
    fill(db, 60, first=120, commits=10)
    wait_for(lambda: db.stats().maintenance_error is not None)
    wait_for(lambda: at_rest(db))
    told = db.stats().maintenance_error
    assert told is not None
    assert "merging" in told
    assert f"{type(error).__name__}: {error}" in told
    assert told.startswith(time.strftime("%Y-"))
    tried = len(count)
    fill(db, 40, first=180, commits=20)
    assert at_rest(db)
    assert len(count) == tried
    monkeypatch.undo()
    db.optimize()
    assert db.stats().maintenance_error is None
    assert db.stats().segments == 1
    assert printed == []
    check(db, dict.fromkeys(range(220), 0))


def test_it_tries_again_after_a_pause_that_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    original = Scheduler.call_later

    def call_later(self: Scheduler, seconds: float, function: Callable[[], None]) -> Appointment:
        pauses.append(seconds)
        return original(self, seconds, function)

    limits = replace(LIMITS, retry_seconds=0.05, longest_retry_seconds=0.2, opening_seconds=3600.0)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM) as db:
        fill(db, 120)
        wait_for(lambda: at_rest(db))
        with monkeypatch.context() as patch:
            patch.setattr(Scheduler, "call_later", call_later)
            patch.setattr(Merge, "steps", failing(ValueError("a slip"), []))
            fill(db, 60, first=120, commits=10)
            wait_for(lambda: len(pauses) >= 4)
        wait_for(lambda: db.stats().maintenance_error is None)
        assert pauses[:4] == pytest.approx([0.05, 0.1, 0.2, 0.2])
        assert db.stats().segments < 5
        check(db, dict.fromkeys(range(180), 0))


def test_reopening_tries_again(db: mvdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Merge, "steps", failing(ValueError("a slip"), []))
        fill(db, 60, first=120, commits=10)
        wait_for(lambda: db.stats().maintenance_error is not None)
    segments = db.stats().segments
    with opened(db.path, LIMITS) as other:
        assert other.stats().maintenance_error is None
        fill(other, 1, first=180)
        wait_for(lambda: other.stats().segments < segments)


def test_a_commit_after_which_nothing_can_be_planned_counts(
    db: mvdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Environment) -> ReadTransaction:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Environment, "read", full)
        fill(db, 10, first=120)
    assert len(db) == 130
    told = db.stats().maintenance_error
    assert told is not None
    assert "can't start new thread" in told


def test_closing_is_no_failure(tmp_path: Path, printed: list[str]) -> None:
    for number in range(10):
        db = opened(tmp_path / f"{number}.mvdb", LIMITS, dim=DIM)
        fill(db, 120)
        fill(db, 100, first=120, commits=10)
        time.sleep(0.01 * number)
        db.close()
        assert db._engine.maintenance.error is None
    assert printed == []


# ---- optimize ----


@pytest.mark.parametrize("error", [KeyError("a slip"), IndexError("a slip")])
def test_a_bug_ends_optimize(
    db: mvdb.Database, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """`optimize` took any LookupError for a merge that another process had done, and began the same
    merge again, for ever."""
    fill(db, 10, first=120)
    monkeypatch.setattr(Merge, "steps", failing(error, []))
    with pytest.raises(type(error), match="a slip"):
        db.optimize()


def test_optimize_ends_when_it_gets_nowhere(
    db: mvdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever makes it give up the same merge each time."""
    fill(db, 10, first=120)
    count: list[int] = []
    monkeypatch.setattr(Merge, "steps", failing(SegmentGone("gone"), count))
    with pytest.raises(mvdb.BusyError, match="same merge"):
        db.optimize()
    assert len(count) == LIMITS.merge_attempts


def test_optimize_ends_while_others_delete_and_insert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete during each merge made the merged segment due again, and an insert put another
    segment beside it: under steady writing `optimize` did not return."""
    db = opened(tmp_path / "a.mvdb", LIMITS, dim=DIM, background=False)
    fill(db, 120)
    fill(db, 60, first=120, commits=3)
    names = iter(range(180))
    others = iter(range(1000, 2000))
    merges: list[int] = []
    original = Merge.steps

    def steps(self: Merge) -> Steps:
        merges.append(1)
        assert len(merges) < 20, "no end"
        yield from original(self)
        db.delete(next(names))
        fill(db, 1, first=next(others))

    monkeypatch.setattr(Merge, "steps", steps)
    with db:
        db.optimize()
        stats = db.stats()
        assert stats.segments <= 1 + len(merges)
        assert db.verify().ok


def test_optimize_says_that_the_database_is_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private exception came out of `optimize` when another thread closed the database."""
    db = opened(tmp_path / "b.mvdb", LIMITS, dim=DIM, background=False)
    fill(db, 120)
    fill(db, 60, first=120, commits=3)
    closer = threading.Thread(target=db.close)
    original = Merge.steps

    def steps(self: Merge) -> Steps:
        for number, parts in enumerate(original(self)):
            if number == 1:
                closer.start()
                wait_for(lambda: db._engine.steps.stopped)
            yield parts

    monkeypatch.setattr(Merge, "steps", steps)
    with pytest.raises(mvdb.ClosedError):
        db.optimize()
    closer.join()
