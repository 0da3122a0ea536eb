"""Maintenance beside readers, writers and `close`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import mvdb
from mvdb.segment.segment_writer import Sealed
from mvdb.state import unpublished
from mvdb.storage.environment import Environment, ReadTransaction
from mvdb.threads import shield
from mvdb.write import maintenance_steps
from mvdb.write.changes import Changes
from mvdb.write.merge import Merge
from tests.index.files import (
    DIM,
    LISTED,
    TOPICS,
    check,
    fill,
    left_over,
    listed,
    pairs,
    put,
    query_for,
    scores_of,
)
from tests.support.model import check_hits
from tests.support.opening import by_lists, opened
from tests.support.patience import PATIENCE

LIMITS = replace(
    by_lists(LISTED, candidates=20),
    base_tokens=64,
    fanout=3,
    commit_tokens=100,
    step_bytes=2000,
    growth=1.6,
)
"""Commits leave nearly all merging, and more centroids, to maintenance."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


def at_rest(db: mvdb.Database) -> bool:
    thread = db._engine.maintenance._thread
    return thread is None or not thread.is_alive()


def in_thread(function: Callable[[], None]) -> Callable[[], None]:
    """Runs it beside; the result joins, and raises what it raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> None:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it hangs"
        if errors:
            raise errors[0]

    return join


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Every step of a merge outside of the main thread takes 0.3 s until this is set."""
    go = threading.Event()
    original = Merge.steps

    def steps(self: Merge) -> Iterator[list[Sealed]]:
        for parts in original(self):
            if shield.caller() is not threading.main_thread():
                go.wait(0.3)
            yield parts

    monkeypatch.setattr(Merge, "steps", steps)
    return go


def test_work_is_done_in_the_background(path: Path) -> None:
    """After commits segments are merged and centroids are added without anyone asking; with
    background=False neither."""
    counts = {}
    for background in (False, True):
        name = path.with_name(f"{background}.mvdb")
        with opened(name, LIMITS, dim=DIM, background=background) as db:
            fill(db, 120)
            centroids = db.stats().centroids
            fill(db, 400, first=120, commits=40)
            wait_for(lambda: at_rest(db))
            counts[background] = db.stats().segments
            assert (db.stats().centroids > centroids) == background
            check(db, dict.fromkeys(range(520), 0))
            assert db.verify().ok
            assert any(listed(db))
    assert counts[True] < counts[False] / 3, counts
    assert left_over(path.with_name("True.mvdb")) == (set(), set())


def left_behind(path: Path) -> int:
    """Leaves a file with merges that are due; its segments."""
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 120)
        fill(db, 200, first=120, commits=20)
        return db.stats().segments


def test_work_that_was_left_is_done_some_time_after_opening(path: Path) -> None:
    """A process that writes and ends leaves merges; one that has the file open only to search does
    them, but not at once."""
    segments = left_behind(path)
    with opened(path, LIMITS) as db:
        check(db, dict.fromkeys(range(320), 0))
        assert db.stats().segments == segments
    with opened(path, replace(LIMITS, opening_seconds=0.1)) as db:
        wait_for(lambda: db.stats().segments < segments / 3)
        wait_for(lambda: at_rest(db))
        check(db, dict.fromkeys(range(320), 0))
    assert left_over(path) == (set(), set())


def test_work_that_another_process_has_begun_is_left_to_it(path: Path) -> None:
    """After opening; a commit counts for more, and so does that it was not heard of for long."""
    segments = left_behind(path)
    at_once = replace(LIMITS, opening_seconds=0.0)
    with opened(path, LIMITS, background=False) as other:
        other._engine.steps.run(lambda changes: unpublished.add(changes.txn, 1 << 40))
    copy = path.with_name("b.mvdb")
    copy.write_bytes(path.read_bytes())
    with opened(path, at_once) as db:
        time.sleep(0.5)
        assert at_rest(db)
        assert db.stats().segments == segments
        fill(db, 1, first=320)
        wait_for(lambda: db.stats().segments < segments / 3)
        wait_for(lambda: at_rest(db))
    with opened(copy, replace(at_once, heartbeat_seconds=0.1)) as db:
        wait_for(lambda: db.stats().segments < segments / 3)
        wait_for(lambda: at_rest(db))
    assert left_over(copy) == (set(), set())


def test_a_commit_and_closing_do_not_wait_for_the_time_after_opening(path: Path) -> None:
    segments = left_behind(path)
    limits = replace(LIMITS, opening_seconds=3600.0)
    with opened(path, limits) as db:
        assert db.stats().segments == segments
    with opened(path, limits) as db:
        fill(db, 1, first=320)
        wait_for(lambda: db.stats().segments < segments / 3)


def test_readers_go_on_while_the_index_is_optimised(path: Path) -> None:
    """No error and no wrong answer in four threads, whatever step the optimisation is at."""
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 120)
        fill(db, 500, first=120, commits=25)
        db.delete(range(0, 620, 5))
        queries = [query_for(topic, 7) for topic in range(TOPICS)]
        scores = [scores_of(db, query) for query in queries]
        exact = [pairs(db.search(query, 10, exact=True)) for query in queries]
        done = threading.Event()
        counts = [0] * 4

        def read(reader: int) -> None:
            while not done.is_set() or counts[reader] < 20:
                i = (counts[reader] + reader) % TOPICS
                hits = db.search(queries[i], 10)
                check_hits(hits, scores[i], 10, len(queries[i]), complete=False)
                hits = db.search(queries[i], 10, exact=True)
                assert pairs(hits) == exact[i]
                assert [hit.text for hit in hits] == [f"{hit.id} version 0" for hit in hits]
                assert len(db.search(queries[i], 5, filter={"topic": i})) == 5
                counts[reader] += 1

        readers = [in_thread(partial(read, reader)) for reader in range(4)]
        segments = db.stats().segments
        db.optimize()
        done.set()
        for join in readers:
            join()
        assert segments > 5
        assert db.stats().segments == 1
        assert [pairs(db.search(query, 10, exact=True)) for query in queries] == exact


def test_a_snapshot_sees_its_state_whatever_is_optimised(path: Path) -> None:
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 120)
        fill(db, 300, first=120, commits=10)
        versions = dict.fromkeys(range(420), 0)
        queries = [query_for(topic, 2) for topic in range(TOPICS)]
        with db.snapshot() as snapshot:
            before = [pairs(snapshot.search(query, 10)) for query in queries]
            stored = [rows.tobytes() for rows in snapshot.vectors(range(420))]
            db.delete(range(100))
            put(db, range(200, 230), version=1)
            db.optimize()
            fill(db, 400, first=1000)
            db.optimize()
            assert [pairs(snapshot.search(query, 10)) for query in queries] == before
            assert [rows.tobytes() for rows in snapshot.vectors(range(420))] == stored
            check(snapshot, versions)
        for name in range(100):
            del versions[name]
        versions.update(dict.fromkeys(range(200, 230), 1))
        versions.update(dict.fromkeys(range(1000, 1400), 0))
        check(db, versions)


# ---- writers ----


def test_writers_go_between_the_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits do not wait for what a step computes, only for its transaction: here each of the
    first steps computes until a commit has been made."""
    original = Merge.steps
    computing, committed = threading.Semaphore(0), threading.Semaphore(0)

    def steps(self: Merge) -> Iterator[list[Sealed]]:
        for parts in original(self):
            if shield.caller() is not threading.main_thread():
                computing.release()
                assert committed.acquire(timeout=PATIENCE), "a commit waited for a step"
            yield parts

    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 120)
        fill(db, 200, first=120, commits=10)
        versions = dict.fromkeys(range(320), 0)
        monkeypatch.setattr(Merge, "steps", steps)
        join = in_thread(db.optimize)
        for name in range(8):
            assert computing.acquire(timeout=PATIENCE)
            put(db, [name], version=1)
            versions[name] = 1
            committed.release()
        committed.release(1_000_000)
        join()
        check(db, versions)
        assert db.verify().ok


def test_no_busy_error_because_of_ones_own_maintenance(path: Path) -> None:
    """transaction(timeout=0) waits for the step under way instead."""
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 10)
        inside = threading.Event()
        order: list[str] = []

        def step(_: object) -> None:
            inside.set()
            wait_for(lambda: db._engine.steps.turns._writers == 1)
            order.append("step")

        join = in_thread(lambda: db._engine.steps.run(step))
        assert inside.wait(PATIENCE)
        with db.transaction(timeout=0) as txn:
            order.append("transaction")
            txn.delete(1)
        join()
        assert order == ["step", "transaction"]
        assert len(db) == 9


def test_a_long_step_does_not_outlast_the_timeout(path: Path) -> None:
    """A step under way was waited for however long it took."""
    limits = replace(LIMITS, grace_seconds=0.1)
    with opened(path, limits, dim=DIM, background=False) as db:
        fill(db, 10)
        inside, go = threading.Event(), threading.Event()

        def step(_: object) -> None:
            inside.set()
            assert go.wait(PATIENCE)

        join = in_thread(lambda: db._engine.steps.run(step))
        assert inside.wait(PATIENCE)
        with pytest.raises(mvdb.BusyError, match=r"longer than 0.2 s"):
            db.transaction(timeout=0.2)
        go.set()
        join()
        with db.transaction(timeout=0) as txn:
            txn.delete(1)


def test_many_writers_without_patience(path: Path) -> None:
    """Commits with timeout=0 while the background thread is busy all the time."""
    with opened(path, LIMITS, dim=DIM) as db:
        fill(db, 120)
        for name in range(150):
            with db.transaction(timeout=0) as txn:
                put(txn, [500 + name])
        wait_for(lambda: at_rest(db))
        check(db, dict.fromkeys([*range(120), *range(500, 650)], 0))


def waiting_step(db: mvdb.Database) -> Callable[[], None]:
    """A step that waits for the transaction that is open."""
    join = in_thread(lambda: db._engine.steps.run(lambda changes: None))
    wait_for(lambda: db._engine.steps.turns.in_step)
    return join


def test_a_timeout_counts_while_a_step_waits_for_another_writer(path: Path) -> None:
    """The step waited for the transaction of one thread, the next thread for the step, for ever."""
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 10)
        txn = db.transaction()
        waiting_step(db)

        def busy() -> None:
            with pytest.raises(mvdb.BusyError):
                db.transaction(timeout=0.1)

        try:
            in_thread(busy)()
            with pytest.raises(mvdb.BusyError, match="this thread"):
                db.transaction(timeout=0)
            with pytest.raises(mvdb.BusyError, match="this thread"):
                db.optimize()
        finally:
            txn.rollback()


def test_closing_within_a_transaction_while_a_step_waits_for_it(
    path: Path, slow: threading.Event
) -> None:
    """`close` joined a thread that waited for the transaction of whoever closes."""
    db = opened(path, LIMITS, dim=DIM)
    fill(db, 120)
    fill(db, 200, first=120, commits=20)
    wait_for(lambda: not at_rest(db))
    txn = db.transaction()
    time.sleep(0.1)
    slow.set()
    time.sleep(0.1)  # now the thread wants to store what the step has made
    late = threading.Timer(PATIENCE, txn.rollback)
    late.daemon = True
    late.start()
    db.close()
    assert late.is_alive(), "closing waited for the transaction"
    late.cancel()
    txn.rollback()
    with opened(path, LIMITS) as db:
        check(db, dict.fromkeys(range(320), 0))


def test_a_commit_counts_even_if_nothing_can_be_planned_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks after a commit whether maintenance is due may fail: the commit has not."""

    def full(self: Environment) -> ReadTransaction:
        raise mvdb.BusyError("the reader table is full")

    with opened(path, LIMITS, dim=DIM) as db:
        with monkeypatch.context() as patch:
            patch.setattr(Environment, "read", full)
            fill(db, 10)
        assert len(db) == 10


# ---- the end ----


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.3])
def test_closing_in_the_middle_of_background_work(path: Path, delay: float) -> None:
    """It returns soon; the file has everything, and the next `optimize` cleans up."""
    db = opened(path, replace(LIMITS, yield_seconds=0.01), dim=DIM)
    fill(db, 120)
    fill(db, 300, first=120, commits=30)
    time.sleep(delay)
    begin = time.monotonic()
    db.close()
    assert time.monotonic() - begin < PATIENCE
    assert not [t for t in threading.enumerate() if t.name == "mvdb-maintenance"]
    _, orphans = left_over(path)
    assert orphans == set()
    versions = dict.fromkeys(range(420), 0)
    with opened(path, LIMITS, background=False) as db:
        report = db.verify()
        assert report.ok, report.problems
        check(db, versions)
        db.optimize()
        check(db, versions)
        assert db.stats().segments == 1
    assert left_over(path) == (set(), set())


def test_a_merge_cut_short_by_close_is_unfinished(path: Path, slow: threading.Event) -> None:
    """The entry is there, `verify` knows it, and work goes on after opening."""
    db = opened(path, LIMITS, dim=DIM)
    fill(db, 120)
    fill(db, 300, first=120, commits=30)
    wait_for(lambda: bool(left_over_now(db)))
    closer = in_thread(db.close)
    closer()
    begun, orphans = left_over(path)
    assert len(begun) == 1
    assert orphans == set()
    slow.set()
    with opened(path, LIMITS) as db:
        assert db.verify().ok
        put(db, [5000])
        wait_for(lambda: at_rest(db))
        db.optimize()
        assert left_over_now(db) == {}
        check(db, dict.fromkeys([*range(420), 5000], 0))


@pytest.mark.parametrize("cancelled", [False, True])
def test_optimize_ends_a_merge_in_the_background(
    path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """Its documents are merged with all others instead. After an `optimize` that was cancelled the
    background goes on."""
    original_steps, original_publish = Merge.steps, maintenance_steps.publish
    begun, published = threading.Event(), []

    def steps(self: Merge) -> Iterator[list[Sealed]]:
        work = original_steps(self)
        if shield.caller() is not threading.main_thread() and not begun.is_set():
            yield next(work)
            begun.set()
            wait_for(lambda: db._engine.maintenance._optimising > 0)
        yield from work

    def publish(changes: Changes, merge: Merge) -> None:
        published.append(shield.caller() is threading.main_thread())
        original_publish(changes, merge)

    monkeypatch.setattr(Merge, "steps", steps)
    monkeypatch.setattr(maintenance_steps, "publish", publish)
    with opened(path, LIMITS, dim=DIM) as db:
        fill(db, 120)
        fill(db, 300, first=120, commits=30)
        assert begun.wait(PATIENCE)
        before = len(published)
        if cancelled:
            with pytest.raises(mvdb.CancelledError):
                db.optimize(cancel=lambda: True)
            wait_for(lambda: at_rest(db))
            assert not any(published), "nothing was left for the background"
        else:
            db.optimize()
            assert all(published[before:]), "the background has gone on"
            assert db.stats().segments == 1
        assert len(published) > before
        assert left_over_now(db) == {}
        assert db.verify().ok
        check(db, dict.fromkeys(range(420), 0))


def left_over_now(db: mvdb.Database) -> dict[int, float]:
    with db._engine.environment.read() as txn:
        return unpublished.load(txn)


def test_compaction_beside_background_work(path: Path) -> None:
    """Compacting in place while the background thread has work of its own: it waits its turn."""
    with opened(path, LIMITS, dim=DIM) as db:
        fill(db, 120)
        for part in range(4):
            fill(db, 60, first=120 + 60 * part, commits=12)
            db.compact()
            check(db, dict.fromkeys(range(180 + 60 * part), 0), part)
        assert db.verify().ok
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_read_only_handle_does_no_maintenance(path: Path) -> None:
    with opened(path, LIMITS, dim=DIM, background=False) as db:
        fill(db, 120)
        fill(db, 60, first=120, commits=20)
        segments = db.stats().segments
    with opened(path, LIMITS, readonly=True) as db:
        check(db, dict.fromkeys(range(180), 0))
        time.sleep(0.05)
        assert db._engine.maintenance._thread is None
        assert db.stats().segments == segments
        with pytest.raises(mvdb.ReadOnlyError):
            db.optimize()
