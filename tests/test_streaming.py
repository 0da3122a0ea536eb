"""insert_batches: transactions of bounded size, progress, and going on after an interruption."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from mvdb.ingest import streaming
from tests.helpers import DIM, FakeEncoder, content, matrix, refused
from tests.support.children import kill_after_commits, run_program
from tests.support.model import unit
from tests.test_api_write import ArrayLike, Dlpack

HALF = 1e-3


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as database:
        yield database


def batch(first: int, last: int) -> dict[str, Any]:
    """Documents first .. last - 1; document i has 1 + i % 3 tokens."""
    numbers = range(first, last)
    return {
        "ids": list(numbers),
        "embeddings": [matrix(i, 1 + i % 3) for i in numbers],
        "texts": [f"text {i}" for i in numbers],
        "metadata": [{"n": i} for i in numbers],
    }


def batches(first: int, last: int, size: int) -> Iterator[dict[str, Any]]:
    for start in range(first, last, size):
        yield batch(start, min(last, start + size))


def holds(db: mvdb.Database, count: int) -> None:
    """The database has the documents 0 .. count - 1 of `batch`, and no others."""
    assert list(db.ids()) == list(range(count))
    for i, rows in enumerate(db.vectors(range(count))):
        np.testing.assert_allclose(rows, unit(matrix(i, 1 + i % 3)), atol=HALF)
        assert db.get(i) == [mvdb.Document(i, f"text {i}", {"n": i}, 1 + i % 3)]
    assert db.verify().ok


class Log(list[mvdb.InsertProgress]):
    """Collects progress, and with it how many documents others can see."""

    def __init__(self, db: mvdb.Database) -> None:
        super().__init__()
        self._db = db
        self.seen: list[int] = []

    def __call__(self, progress: mvdb.InsertProgress) -> None:
        self.append(progress)
        self.seen.append(len(self._db))


# ---- transactions ----


def flat(parts: list[NDArray[Any]]) -> Any:
    return np.concatenate(parts), [len(part) for part in parts]


def flat_arrays(parts: list[NDArray[Any]]) -> Any:
    return np.concatenate(parts), np.array([len(part) for part in parts], np.uint32)


def foreign_flat(parts: list[NDArray[Any]]) -> Any:
    return Dlpack(np.concatenate(parts)), [len(part) for part in parts]


def padded(parts: list[NDArray[Any]]) -> Any:
    array = np.zeros((len(parts), 4, DIM), np.float32)
    for i, part in enumerate(parts):
        array[i, : len(part)] = part
    return array


def foreign_padded(parts: list[NDArray[Any]]) -> Any:
    return ArrayLike(padded(parts))


FORMS: list[Callable[[list[NDArray[Any]]], Any]] = [
    list,
    tuple,
    iter,
    flat,
    flat_arrays,
    foreign_flat,
    padded,
    foreign_padded,
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("old", [(), (0, 1), (3, 50, 94), tuple(range(0, 95, 2))])
def test_a_large_batch_is_divided(
    db: mvdb.Database, form: Callable[[list[NDArray[Any]]], Any], old: tuple[int, ...]
) -> None:
    for i in old:
        db.insert(i, matrix(i, 1 + i % 3), texts=f"text {i}", metadata={"n": i})
    whole = batch(0, 95)
    whole["embeddings"] = form(whole["embeddings"])
    log = Log(db)
    assert db.insert_batches([whole], commit_every=20, progress=log) == 95 - len(old)
    steps = np.diff([len(old), *log.seen])
    assert steps.max() <= 20
    if not old:
        assert log == [20, 40, 60, 80, 95]
    holds(db, 95)


def test_batches_that_fit_a_transaction_stay_whole(db: mvdb.Database) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from batches(0, 30, 15)
        bad = batch(30, 45)
        bad["embeddings"][7] = np.full((1, DIM), np.nan)
        yield bad

    log = Log(db)
    with pytest.raises(mvdb.InvalidInputError, match="document 37, row 0"):
        db.insert_batches(broken(), commit_every=20, progress=log)
    assert log == log.seen == [15, 30]
    holds(db, 30)


def test_small_batches_share_a_transaction(db: mvdb.Database) -> None:
    log = Log(db)
    assert db.insert_batches(batches(0, 95, 3), commit_every=20, progress=log) == 95
    assert log == log.seen == [18, 36, 54, 72, 90, 95]
    holds(db, 95)


def test_a_full_transaction_is_committed_before_the_next_batch_is_asked_for(
    db: mvdb.Database,
) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from batches(0, 40, 10)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        db.insert_batches(broken(), commit_every=20)
    holds(db, 40)


@pytest.mark.parametrize("what", ["embeddings", "texts", "metadata"])
@pytest.mark.parametrize("surplus", [-1, 1])
@pytest.mark.parametrize("commit_every", [100, 4])
@pytest.mark.parametrize("old", [False, True])
def test_arguments_for_other_numbers_of_documents_are_refused(
    db: mvdb.Database, what: str, surplus: int, commit_every: int, old: bool
) -> None:
    if old:
        db.insert(1, matrix(1))
    bad = batch(0, 10)
    bad[what] = [*bad[what], bad[what][0]][: 10 + surplus]
    with refused(db, mvdb.InvalidInputError, str(10 + surplus), "10 ids"):
        db.insert_batches([bad], commit_every=commit_every)


STREAM = ["a", "b", "a", 1, "1", "b", 1, "c", "a", "d"]
"""Ids of a stream, of which six are different."""


def cut(size: int, form: Callable[[list[NDArray[Any]]], Any]) -> Iterator[dict[str, Any]]:
    """The stream in batches; document i of it has the text `i`."""
    for start in range(0, len(STREAM), size):
        span = range(start, min(start + size, len(STREAM)))
        yield {
            "ids": [STREAM[i] for i in span],
            "embeddings": form([matrix(i, 1 + i % 3) for i in span]),
            "texts": [str(i) for i in span],
            "metadata": [{"n": i} for i in span],
        }


@pytest.mark.parametrize("form", [list, iter, flat, padded])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("commit_every", [1, 2, 3, 7, None])
def test_a_repeated_id_means_the_same_however_the_stream_is_cut(
    db: mvdb.Database,
    form: Callable[[list[NDArray[Any]]], Any],
    size: int,
    commit_every: int | None,
) -> None:
    """An id that came twice was an error within a batch and skipped in a later one."""
    for expected in (6, 0):  # given again, all of it is skipped
        log = Log(db)
        assert (
            db.insert_batches(cut(size, form), commit_every=commit_every, progress=log) == expected
        )
        assert (log[-1], log[-1].skipped) == (expected, len(STREAM) - expected)
        assert {name: db.get(name)[0].text for name in db.ids()} == {  # type: ignore[union-attr]
            "a": "0",
            "b": "1",
            1: "3",
            "1": "4",
            "c": "7",
            "d": "9",
        }
        for i in (0, 1, 3, 4, 7, 9):
            rows = db.vectors(STREAM[i])[0]
            np.testing.assert_allclose(rows, unit(matrix(i, 1 + i % 3)), atol=HALF)
    assert db.verify().ok


def test_the_faults_of_a_document_that_is_skipped_do_not_matter(db: mvdb.Database) -> None:
    """However the stream is cut, only the first document of an id is looked at."""
    bad = np.full((1, DIM), np.nan, np.float32)
    for stream in (
        [(["a", "a"], [matrix(1), bad])],
        [(["b"], [matrix(1)]), (["b"], [bad])],
    ):
        assert db.insert_batches(stream) == 1
    with refused(db, mvdb.InvalidInputError, "document 'c'"):
        db.insert_batches([(["c", "c"], [bad, matrix(1)])])


@pytest.mark.parametrize("size", [1, 3, 10])
def test_repeated_ids_with_texts_alone(tmp_path: Path, size: int) -> None:
    with mvdb.open(tmp_path / "t.mvdb", encoder=FakeEncoder()) as db:
        stream = ({"ids": each["ids"], "texts": each["texts"]} for each in cut(size, list))
        assert db.insert_batches(stream, commit_every=2) == 6
        assert [document.text for document in db.get(["a", 1]) if document] == ["0", "3"]


def test_an_id_twice_in_one_insert_stays_an_error(db: mvdb.Database) -> None:
    for write in (db.insert, db.upsert):
        with refused(db, mvdb.InvalidInputError, "'a' is given twice"):
            write(["a", "b", "a"], [matrix(1)] * 3)


def test_what_is_no_id_is_found_before_a_part_of_its_batch_is_stored(db: mvdb.Database) -> None:
    bad = batch(0, 10)
    bad["ids"][9] = 1.5
    with refused(db, mvdb.InvalidInputError, "not float"):
        db.insert_batches([bad], commit_every=4)


@pytest.mark.parametrize("given", [5, None, 1.5, object()])
def test_what_is_no_stream_is_refused(db: mvdb.Database, given: object) -> None:
    with refused(db, mvdb.InvalidInputError, "batches: an iterable of batches, Arrow data"):
        db.insert_batches(given)


# ---- progress ----


def test_progress_tells_more_than_a_number(db: mvdb.Database) -> None:
    db.insert_batches([batch(0, 25)])
    log = Log(db)
    assert db.insert_batches(list(batches(0, 100, 10)), commit_every=20, progress=log) == 75
    assert [(step, step.skipped, step.total) for step in log] == [
        (0, 20, 100),
        (15, 25, 100),
        (35, 25, 100),
        (55, 25, 100),
        (75, 25, 100),
    ]
    assert all(isinstance(step, int) for step in log)
    assert [step.seconds for step in log] == sorted(step.seconds for step in log)
    assert log[1].documents_per_second > 0
    assert log[1].seconds_left == pytest.approx(60 / log[1].documents_per_second)
    assert log[-1].seconds_left == 0
    assert f"{log[1]} of {log[1].total}" == "15 of 100"


def test_a_total_is_what_the_caller_says_or_the_batches_tell(db: mvdb.Database) -> None:
    def total(given: Any, **options: Any) -> int | None:
        log = Log(db)
        db.insert_batches(given, progress=log, **options)
        return log[-1].total

    assert total(batches(0, 20, 10)) is None
    assert total(batches(0, 20, 10), total=7) == 7
    assert total(list(batches(0, 20, 10)), total=0) == 0
    assert total([("one", matrix(1)), ([1, 2], [matrix(1)] * 2), {"ids": np.arange(4)}]) == 7
    assert total([(iter([1, 2]), [matrix(1)] * 2)]) is None


def test_without_a_total_there_is_no_time_left(db: mvdb.Database) -> None:
    log = Log(db)
    db.insert_batches(batches(0, 20, 10), progress=log)
    assert log[0].seconds_left is None
    log.clear()
    db.insert_batches(batches(0, 20, 10), progress=log, total=5)
    assert log[0].documents_per_second == 0
    assert log[0].seconds_left is None, "nothing was inserted, so there is no rate"


@pytest.mark.parametrize("total", [-1, 1.5, "10"])
def test_a_total_is_a_number_of_documents(db: mvdb.Database, total: Any) -> None:
    with refused(db, mvdb.InvalidInputError, "total: a number of documents", repr(total)):
        db.insert_batches([batch(0, 2)], total=total)


def test_the_rate_is_that_of_inserted_documents(
    db: mvdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents that are skipped take a millisecond here, others a second."""
    now = [0.0]
    monkeypatch.setattr(streaming, "perf_counter", lambda: now[0])
    db.insert_batches([batch(0, 50)])

    def source() -> Iterator[dict[str, Any]]:
        for each in batches(0, 100, 10):
            now[0] += 10 if each["ids"][0] >= 50 else 0.01
            yield each

    log = Log(db)
    db.insert_batches(source(), commit_every=20, progress=log, total=100)
    # Two calls while 50 documents are passed over, the rest of them with the first that are new.
    assert log == [0, 0, 20, 40, 50]
    assert [step.skipped for step in log] == [20, 40, 50, 50, 50]
    assert [step.seconds_left for step in log] == [None, None, *map(pytest.approx, (30, 10, 0))]
    assert log[-1].documents_per_second == pytest.approx(1)
    assert log[-1].seconds == pytest.approx(50.05)


def test_others_may_write_while_documents_are_skipped(db: mvdb.Database) -> None:
    db.insert_batches([batch(0, 50)])

    def write(progress: mvdb.InsertProgress) -> None:
        db.insert(f"after {progress.skipped}", matrix(1))

    assert db.insert_batches(batches(0, 50, 10), commit_every=20, progress=write) == 0
    assert list(db.ids())[50:] == ["after 20", "after 40", "after 50"]


# ---- interruptions ----


@pytest.mark.parametrize("commits", [1, 3, 8])
def test_a_killed_stream_goes_on_at_its_last_commit(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "killed.mvdb"
    reported = kill_after_commits("tests.streaming_program", commits, "killed", path)
    before = content(path)
    assert len(before) in (reported, reported + 20), "a commit may have had no time to tell"
    with mvdb.open(path) as db:
        log = Log(db)
        inserted = db.insert_batches(batches(0, 200, 10), commit_every=20, progress=log)
        assert inserted == 200 - len(before)
        assert log[-1].skipped == len(before)
        holds(db, 200)
    with mvdb.open(tmp_path / "whole.mvdb", dim=DIM) as db:
        db.insert_batches(batches(0, 200, 10), commit_every=20)
    assert content(path) == content(tmp_path / "whole.mvdb")


# ---- without pyarrow ----


class Frame:
    """Has the Arrow C stream interface; nothing reads it here."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise AssertionError("it was read")


@pytest.mark.parametrize("make", [lambda path: path, str, lambda _: Frame(), lambda _: [Frame()]])
def test_without_pyarrow_arrow_data_says_what_to_install(
    db: mvdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ImportError, match=r"pip install 'mvdb-engine\[arrow\]'"):
        db.insert_batches(make(path), progress=print)
    assert len(db) == 0
    db.insert("after", matrix(1))


def test_other_streams_do_not_import_pyarrow(tmp_path: Path) -> None:
    done = run_program("tests.streaming_program", "without_pyarrow", tmp_path / "a.mvdb")
    assert (done.returncode, done.stderr) == (0, "")


def test_paths_that_cannot_be_read(db: mvdb.Database, tmp_path: Path) -> None:
    csv = tmp_path / "a.csv"
    csv.write_text("id\n1\n", encoding="utf-8")
    for path in (csv, str(csv)):
        with refused(db, mvdb.InvalidInputError, str(csv), ".parquet, .arrow, .feather", ".csv"):
            db.insert_batches(path)
    with refused(db, mvdb.InvalidInputError, "a directory; give pyarrow.dataset.dataset"):
        db.insert_batches(tmp_path)
    with pytest.raises(FileNotFoundError):
        db.insert_batches(tmp_path / "none.parquet")
