"""P7: readers in threads and processes never wait, and each answer is of one committed state."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.write.write_buffer import Batch, WriteBuffer
from tests.support.children import in_child
from tests.support.opening import opened
from tests.support.patience import PATIENCE
from tests.threads.versions import (
    DIM,
    read_for,
    read_snapshot,
    read_version,
    write_version,
)

SECONDS = float(os.environ.get("MVDB_THREAD_SECONDS", "6"))
READERS = 16


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    limits = Limits(
        train_documents=200, extended_at_once=0, base_tokens=16, fanout=3, chunk_bytes=300
    )
    db = opened(tmp_path / "shared.mvdb", limits, dim=DIM, bits=4, durability="relaxed")
    rows = np.random.default_rng(1).standard_normal((900, DIM))
    db.insert([f"training {i}" for i in range(300)], (rows, [3] * 300))
    db.delete([f"training {i}" for i in range(300)])
    write_version(db, 2)
    yield db
    db.close()


class Crowd:
    """Threads that loop until told to stop, and the first thing that went wrong in one."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors: list[str] = []
        self.turns: dict[str, int] = {}
        self.closed_seen = 0
        self.closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, turn: Callable[[int], None]) -> None:
        def loop() -> None:
            while not self.stop.is_set():
                try:
                    turn(self.turns.get(name, 0))
                except mvdb.ClosedError as error:
                    if not self.closing.is_set():
                        self.errors.append(f"{name}: too early: {error}")
                    self.closed_seen += 1
                    return
                except BaseException as error:
                    self.errors.append(f"{name}: {type(error).__name__}: {error}")
                    self.stop.set()
                    return
                self.turns[name] = self.turns.get(name, 0) + 1

        self._threads.append(threading.Thread(target=loop, name=name, daemon=True))

    def run(self, seconds: float, turns: int = 1) -> None:
        """For so long, and until each has had so many turns; but no longer than PATIENCE."""
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + PATIENCE
        self.stop.wait(seconds)
        while not self.stop.wait(0.01) and time.monotonic() < end:
            if all(self.turns.get(thread.name, 0) >= turns for thread in self._threads):
                return

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} hangs"


def test_sixteen_readers_a_writer_and_a_closer(db: mvdb.Database) -> None:
    """Every answer is of one committed state; a reader never goes back; after `close` there is
    ClosedError and nothing else."""
    crowd = Crowd()

    def writer(turn: int) -> None:
        write_version(db, turn + 3)
        if turn % 50 == 49:
            db.optimize()

    def reader(number: int) -> Callable[[int], None]:
        last = 0

        def turn(count: int) -> None:
            nonlocal last
            version = (
                read_snapshot(db) if count % 6 == 5 else read_version(db, (count + number) % 5)
            )
            if version > 0:
                assert version >= last, f"version {version} after {last}"
                last = version

        return turn

    crowd.add("writer", writer)
    for number in range(READERS):
        crowd.add(f"reader {number}", reader(number))
    crowd.run(SECONDS, turns=11)
    crowd.closing.set()
    db.close()
    crowd.join()
    print(dict(sorted(crowd.turns.items())))
    assert not crowd.errors, crowd.errors
    assert crowd.closed_seen == READERS + 1
    assert min(crowd.turns.values()) > 10, "somebody starved"
    with mvdb.open(db.path) as again:
        report = again.verify()
        assert report.ok, report.problems
        read_snapshot(again)


def test_a_reader_does_not_wait_for_a_writer(db: mvdb.Database) -> None:
    """P7: searches, snapshots and verification go on while a transaction stays open."""
    with db.transaction() as txn:
        txn.upsert(list(range(5)), [np.ones((2, DIM), np.float32)] * 5)
        txn.search(np.ones((1, DIM), np.float32), 3)  # flushed, not committed
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(read_snapshot(db)))
        thread.start()
        thread.join(PATIENCE)
        assert answers == [2]
        with pytest.raises(mvdb.BusyError):
            db.transaction(timeout=0.05)


def test_closing_amid_searches_of_many_handles(tmp_path: Path) -> None:
    """Handles come and go in threads while others search and write: only ClosedError, and only on
    the handle that was closed."""
    path = tmp_path / "handles.mvdb"
    with mvdb.open(path, dim=DIM, durability="relaxed") as first:
        write_version(first, 2)
    crowd = Crowd()

    def visit(turn: int) -> None:
        handle = mvdb.open(path, readonly=turn % 2 == 0, durability="relaxed")
        closer = threading.Timer(0.002 * (turn % 5), handle.close)
        closer.start()
        try:
            while True:
                read_version(handle, 0)
        except mvdb.ClosedError:
            pass
        finally:
            closer.join()
            handle.close()

    def write(turn: int) -> None:
        with mvdb.open(path, durability="relaxed") as handle:
            write_version(handle, turn + 3)

    for number in range(4):
        crowd.add(f"visitor {number}", visit)
    crowd.add("writer", write)
    crowd.run(SECONDS / 4, turns=5)
    crowd.stop.set()
    crowd.join()
    print(crowd.turns)
    assert not crowd.errors, crowd.errors
    assert min(crowd.turns.values()) >= 5, "somebody starved"
    assert len(crowd.turns) == 5
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="forkserver")
def test_reader_processes_while_one_writes(db: mvdb.Database) -> None:
    """P7 across processes: four readers, two of them read-only handles."""
    context = multiprocessing.get_context("forkserver")
    seconds = SECONDS / 3
    readers = []
    for number in range(4):
        pipe, theirs = context.Pipe()
        process = context.Process(
            target=read_for, args=(theirs, str(db.path), seconds, number % 2 == 0), daemon=True
        )
        process.start()
        readers.append((process, pipe))
    version = 3
    while any(process.is_alive() for process, _ in readers) and version < 100_000:
        write_version(db, version)
        version += 1
        if all(pipe.poll() for _, pipe in readers):
            break
    results = [pipe.recv() for _, pipe in readers]
    for process, _ in readers:
        process.join(PATIENCE)
    print(f"{version} versions, (reads, last version): {results}")
    for result in results:
        assert not isinstance(result, str), result
        assert result[0] > 5
    assert max(result[1] for result in results) > 3, "no reader saw a new version"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_must_reopen(db: mvdb.Database) -> None:
    """The parent's handle raises ClosedError in the child, for reading and writing, also an open
    snapshot and transaction; the child can open the file anew; the parent is not disturbed."""
    snapshot = db.snapshot()
    txn = db.transaction()

    def work() -> None:
        for attempt in (
            lambda: db.search(np.ones((1, DIM), np.float32)),
            lambda: len(db),
            lambda: db.insert("x", np.ones((1, DIM), np.float32)),
            lambda: txn.insert("x", np.ones((1, DIM), np.float32)),
            lambda: db.snapshot(),
            lambda: db.verify(),
        ):
            with pytest.raises(mvdb.ClosedError):
                attempt()
        with mvdb.open(db.path, readonly=True) as again:
            read_snapshot(again)
        db.close()

    in_child(work)
    txn.rollback()
    read_version(snapshot, 1)
    snapshot.close()
    write_version(db, 4)
    assert read_snapshot(db) == 4


def test_batches_equal_single_searches(db: mvdb.Database) -> None:
    """`search_batch` gives the hits of single calls, to the last bit of the scores, on any number
    of threads."""
    rng = np.random.default_rng(9)
    names = [f"d{i}" for i in range(400)]
    vectors = [rng.standard_normal((int(n), DIM)) for n in rng.integers(1, 20, 400)]
    db.insert(names, vectors, metadata=[{"i": i} for i in range(400)])
    queries = [rng.standard_normal((int(n), DIM)) for n in rng.integers(1, 12, 40)]
    options: list[dict[str, Any]] = [
        {},
        {"candidates": 15},
        {"exact": True},
        {"filter": {"i": {"$lt": 90}}},
        {"ids": names[:77]},
    ]
    for option in options:
        single = [[(h.id, h.score) for h in db.search(q, 7, **option)] for q in queries]
        for threads in (1, 2, 7, 33):
            batch = db.search_batch(queries, 7, threads=threads, **option)
            assert [[(h.id, h.score) for h in hits] for hits in batch] == single, (option, threads)


def test_two_threads_may_open_a_segment_at_once(tmp_path: Path) -> None:
    """A crash (SIGSEGV in scoring, about one run in four of the test with sixteen readers). Two
    threads that both found a segment without a view made one each; the second replaced the list
    that kept the first one's buffers (small values are copied from the map), while the first was
    in use by the list of segments. A view keeps its buffers itself now. Here the threads' steps are
    done one after the other."""
    rng = np.random.default_rng(3)
    query = rng.standard_normal((3, DIM))
    with mvdb.open(tmp_path / "views.mvdb", dim=DIM, bits=16) as db:
        db.insert(list(range(40)), (rng.standard_normal((40 * 16, DIM)), [16] * 40))
        expected = [(hit.id, hit.score) for hit in db.search(query, 40)]
        with db._reading() as (txn, state):
            state.segments[0]._view = None
            state.segments[0].view(txn)
        noise = [b"\x7b" * size for size in range(100, 40 * 16 * DIM * 2 + 200) for _ in range(2)]
        assert [(hit.id, hit.score) for hit in db.search(query, 40)] == expected
        assert noise


def test_a_commit_under_way_finishes_when_the_database_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`close` in another thread ended the pool that builds segments, and the commit under way
    raised "RuntimeError: cannot schedule new futures after shutdown". Here the call comes from the
    middle of the commit."""
    path = tmp_path / "late.mvdb"
    db = mvdb.open(path, dim=DIM)
    db.insert("early", np.ones((1, DIM), np.float32))  # the pool is there
    batches = WriteBuffer.batches

    def close_and_read(self: WriteBuffer) -> Iterator[Batch]:
        closer = threading.Thread(target=db.close)
        closer.start()
        closer.join(0.2)
        return batches(self)

    monkeypatch.setattr(WriteBuffer, "batches", close_and_read)
    db.insert("late", np.ones((1, DIM), np.float32))
    with pytest.raises(mvdb.ClosedError):
        db.transaction()
    monkeypatch.undo()
    with mvdb.open(path) as again:
        assert list(again.ids()) == ["early", "late"]
        assert again.verify().ok
    assert os.listdir(tmp_path) == [path.name]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mvdb_")]
