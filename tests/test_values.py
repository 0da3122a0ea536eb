"""What calls return travels: it is pickled, copied and written as JSON. Handles do not, and say
so."""

from __future__ import annotations

import copy
import inspect
import json
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.helpers import DIM, fill, matrix
from tests.support.children import in_child
from tests.support.patience import PATIENCE

WAYS: list[Callable[[Any], Any]] = [
    *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(6)),
    copy.copy,
    copy.deepcopy,
]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as database:
        fill(database, 3)
        database.insert(["bare"], [matrix(9)])
        yield database


# ---- values ----


@pytest.mark.parametrize("way", WAYS)
def test_hits_travel_with_their_text_and_metadata(db: mvdb.Database, way: Any) -> None:
    """A hit could not be pickled: it holds a function that reads its text."""
    hits = [way(hit) for hit in db.search(matrix(1), 4)]
    original = db.search(matrix(1), 4)
    assert hits == original
    assert len({*hits, *original}) == 4
    db.close()
    for hit in hits:
        if hit.id == "bare":
            assert (hit.text, hit.metadata) == (None, None)
        else:
            assert hit.text == f"text {hit.id}"
            assert hit.metadata == {"n": hit.id, "even": hit.id % 2 == 0}
    assert [way(hit) for hit in hits] == hits


def test_a_hit_as_a_dict(db: mvdb.Database) -> None:
    hit = db.search(matrix(1), 1)[0]
    value = json.loads(json.dumps(hit.to_dict()))
    assert value == {
        "id": 1,
        "score": hit.score,
        "dense_score": hit.score,
        "lexical_score": None,
        "relevance": None,
        "text": "text 1",
        "metadata": {"n": 1, "even": False},
        "highlights": [],
    }
    assert hit != db.search(matrix(2), 4)[0]
    assert hit != "hit"


def results(db: mvdb.Database) -> list[Any]:
    """One of each value that a call returns."""
    progress: list[mvdb.InsertProgress] = []
    db.insert_batches([("more", matrix(7))], progress=progress.append, total=3)
    path = db.path.with_name("repaired.mvdb")
    return [
        *db.search(matrix(1), 1),
        *db.get(["bare", 1]),
        db.explain(matrix(1), 1),
        db.profile(matrix(1), 2),
        db.stats(),
        db.verify(),
        mvdb.repair(db.path, path),
        *progress,
    ]


@pytest.mark.parametrize("way", WAYS)
def test_every_value_travels(db: mvdb.Database, way: Any) -> None:
    for value in results(db):
        again = way(value)
        assert type(again) is type(value)
        if isinstance(value, mvdb.Explanation):
            np.testing.assert_array_equal(again.scores, value.scores)
            np.testing.assert_array_equal(again.best, value.best)
        else:
            assert again == value
        if isinstance(value, mvdb.InsertProgress):
            assert vars(again) == vars(value)


def test_every_value_is_json(db: mvdb.Database) -> None:
    for value in results(db):
        written = json.loads(json.dumps(value.to_dict(), allow_nan=False))
        assert written == value.to_dict(), "dicts and lists, whose keys are strings"
        if not isinstance(value, mvdb.Hit):
            more = {"ok", "inserted", "seconds_left"}
            assert written.keys() - more == vars(value).keys()
    explanation = db.explain(matrix(1), 1)
    assert explanation.to_dict()["scores"] == explanation.scores.tolist()
    profile = db.profile(matrix(1), 2)
    assert profile.to_dict()["hits"] == [hit.to_dict() for hit in profile.hits]
    assert db.verify().to_dict()["ok"] is True


@pytest.mark.parametrize("way", WAYS)
def test_errors_travel(way: Any) -> None:
    errors = [
        value
        for value in vars(mvdb).values()
        if inspect.isclass(value) and issubclass(value, mvdb.Error)
    ]
    assert len(errors) > 10
    for kind in errors:
        error = way(kind("a sentence; what to do"))
        assert type(error) is kind
        assert (str(error), error.args) == (
            "a sentence; what to do",
            ("a sentence; what to do",),
        )


# ---- handles ----


@pytest.mark.parametrize("way", WAYS)
def test_handles_are_not_pickled_or_copied(db: mvdb.Database, way: Any) -> None:
    """The answers were those of pickle ("cannot pickle '_thread.lock' object")."""
    with db.snapshot() as snapshot, db.transaction() as txn:
        for handle in (db, snapshot, txn):
            with pytest.raises(TypeError) as caught:
                way(handle)
            assert f"a {type(handle).__name__} cannot be pickled or copied" in str(caught.value)
            assert f"mvdb.open({str(db.path)!r})" in str(caught.value)
    assert len(db) == 4


def test_a_handle_is_not_given_to_a_spawned_process(db: mvdb.Database) -> None:
    process = multiprocessing.get_context("spawn").Process(target=len, args=(db,))
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        process.start()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_told_to_open_the_file(db: mvdb.Database) -> None:
    """While other threads hold the handle's locks, as the background thread may: the child waited
    for them for ever."""
    query = matrix(1)
    snapshot, txn = db.snapshot(), db.transaction()
    txn.insert("new", matrix(8))
    calls: list[Callable[[], object]] = [
        lambda: db.search(query),
        lambda: db.search_batch([query, query], threads=2),
        lambda: db.get([1]),
        lambda: list(db.ids()),
        lambda: len(db),
        lambda: 1 in db,
        lambda: db.insert(9, query),
        lambda: db.insert_batches([]),
        db.transaction,
        db.snapshot,
        db.stats,
        db.optimize,
        db.compact,
        lambda: db.backup(db.path.with_suffix(".copy")),
        db.verify,
        lambda: snapshot.search(query),
        lambda: snapshot.get([1]),
        lambda: len(snapshot),
        lambda: txn.insert(10, query),
        lambda: txn.search(query),
        txn.commit,
    ]

    def work() -> None:
        for call in calls:
            with pytest.raises(mvdb.ClosedError, match=r"before fork.*mvdb\.open\("):
                call()
        txn.rollback()
        snapshot.close()
        db.close()
        db.close()
        with mvdb.open(db.path, readonly=True) as own:
            assert len(own) == 4

    held, release = threading.Event(), threading.Event()

    locks = (db._engine._lock, db._engine.maintenance._lock, db._engine.steps.turns._changed)

    def hold() -> None:
        with locks[0], locks[1], locks[2]:
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)
    try:
        in_child(work)
    finally:
        release.set()
        holder.join()
    txn.commit()
    snapshot.close()
    assert "new" in db
