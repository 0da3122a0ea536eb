"""`update`: metadata changes alone. Vectors and text stay as they are stored, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, FakeEncoder, content, fill, matrix, refused
from tests.index.files import LISTED, check, listed, put, store_codebook, trained_on
from tests.index.files import fill as fill_topics
from tests.index.files import vectors_of as topic_vectors
from tests.support.model import Id
from tests.support.opening import opened

SMALL = Limits(train_documents=40, extended_at_once=0)


def metadata_of(db: Any, name: Id) -> Any:
    document = db.get(name)[0]
    assert document is not None
    return document.metadata


def rest(path: Path | str) -> dict[Id, Any]:
    """Everything in a file but the metadata."""
    return {name: (text, rows) for name, (text, _, rows) in content(path).items()}


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("count", [10, 100], ids=["untrained", "trained"])
def test_all_but_the_metadata_stays(tmp_path: Path, bits: int, count: int) -> None:
    """Through updates of the same documents, merges, reopening, compaction, backup and repair."""
    path = tmp_path / "a.mvdb"
    query = matrix(5, 2)
    with opened(path, SMALL, dim=DIM, bits=bits, background=False) as db:
        fill(db, count)
        before = rest(path)
        hits = db.search(query, count, exact=True)
        for version in range(12):
            db.update(version % 4, metadata={"version": version})
            db.update([5, 6, 7], metadata=[{"version": version}, None, {}])
        assert rest(path) == before
        assert db.search(query, count, exact=True) == hits
        assert [hit.id for hit in db.search(query, 99, filter={"version": 11})] == [
            hit.id for hit in hits if hit.id in (3, 5)
        ]
        assert db.count({"n": {"$gte": 0}}) == count - 7
        db.optimize()
        assert db.stats().segments == 1
        db.compact(tmp_path / "b.mvdb")
        db.backup(tmp_path / "c.mvdb")
    outcome = mvdb.repair(path, tmp_path / "d.mvdb")
    assert (outcome.recovered, outcome.lost) == (count, 0)
    for name in "abcd":
        other = tmp_path / f"{name}.mvdb"
        assert rest(other) == before
        with mvdb.open(other, readonly=True) as db:
            found = [metadata_of(db, i) for i in (0, 3, 5, 6, 7, 8)]
            old = {"n": 8, "even": True}
            assert found == [{"version": 8}, {"version": 11}, {"version": 11}, None, {}, old]


def test_merge_keeps_the_other_keys(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        first = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2]}
        db.insert(["x", "y", "z"], [matrix(i) for i in range(3)], metadata=[first, None, {"a": 3}])
        db.update("x", metadata={"b": {"c": 9}, "f": None, "a": np.int64(5)}, merge=True)
        assert metadata_of(db, "x") == {"a": 5, "b": {"c": 9}, "e": [1, 2], "f": None}
        assert list(metadata_of(db, "x")) == ["a", "b", "e", "f"]
        assert db.count({"f": None}) == 1
        db.update(["x", "y", "z"], metadata={"seen": True}, merge=True)
        assert db.count({"seen": True}) == 3
        assert metadata_of(db, "y") == {"seen": True}
        db.update(["y", "z"], metadata=[None, {"a": 4}], merge=True)
        assert metadata_of(db, "y") == {"seen": True}
        assert metadata_of(db, "z") == {"a": 4, "seen": True}
        fields = dict(metadata_of(db, "x"))
        del fields["e"]
        db.update("x", metadata=fields)  # how a key is removed
        assert metadata_of(db, "x") == {"a": 5, "b": {"c": 9}, "f": None, "seen": True}
        db.update("x", metadata=None)
        assert metadata_of(db, "x") is None


def test_a_merge_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        fill(db, 3)
        with db.snapshot() as before:
            db.update([0, 1, 2], metadata=[{"n": 0}, {}, None], merge=True)
            hit = before.search(matrix(1), 1)[0]
        assert hit.text == "text 1"  # the document is still the one that was found
        assert db.stats().segments == 1


def test_within_a_transaction(tmp_path: Path) -> None:
    """Documents of the same transaction, several updates of one document, and what follows them."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        fill(db, 8)
        vectors = {i: db.vectors(i)[0].tobytes() for i in range(8)}
        with db.transaction() as txn:
            txn.insert("new", matrix(50), texts="new text", metadata={"v": 0})
            txn.update(["new", 1, 2, 3, 4], metadata={"v": 1})
            txn.update([1, 2], metadata={"w": 2}, merge=True)
            txn.update(3, metadata={"v": 3})
            assert metadata_of(txn, "new") == {"v": 1}
            assert txn.get(1)[0] == mvdb.Document(1, "text 1", {"v": 1, "w": 2}, 3)
            txn.update(["new", 1], metadata={"x": 4}, merge=True)
            assert txn.count({"v": 1}) == 4
            assert txn.delete(2) == 1
            txn.update(4, metadata={"gone": True})
            assert txn.delete(4) == 1
            txn.insert(4, matrix(60), texts="again")
            txn.update(5, metadata={"gone": True})
            txn.upsert(5, matrix(61), metadata={"v": 5})
            txn.update([6], metadata={"v": 6})
            txn.delete(filter={"v": 6})
            assert 6 not in txn
        assert list(db.ids()) == [0, 1, 3, 4, 5, 7, "new"]
        found = [metadata_of(db, name) for name in ("new", 1, 3, 4, 5)]
        expected = [{"v": 1, "x": 4}, {"v": 1, "w": 2, "x": 4}, {"v": 3}, None, {"v": 5}]
        assert found == expected
        for name in (0, 1, 3, 7):
            assert db.vectors(name)[0].tobytes() == vectors[name]
            assert db.get(name)[0].text == f"text {name}"  # type: ignore[union-attr]
        assert db.verify().ok


def test_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 5)
        before = content(path)
        with db.transaction() as txn:
            txn.update([1, 2], metadata={"v": 1})
            assert txn.count({"v": 1}) == 2
            txn.update(3, metadata={"v": 1})
            txn.rollback()
        assert content(path) == before


def test_snapshots_and_hits(tmp_path: Path) -> None:
    """A snapshot sees the former metadata. The hit of a search belongs to the document as it was:
    outside of a snapshot it has no text any more, as after an upsert."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        fill(db, 5)
        with db.snapshot() as snapshot:
            inside, outside = (one.search(matrix(1), 1)[0] for one in (snapshot, db))
            read = db.search(matrix(1), 1)[0]
            assert read.metadata == {"n": 1, "even": False}
            db.update(1, metadata={"v": 1})
            assert inside.text == "text 1"
            assert metadata_of(snapshot, 1) == inside.metadata == {"n": 1, "even": False}
        assert (outside.text, outside.metadata) == (None, None)
        assert read.text == "text 1"
        assert db.search(matrix(1), 1)[0].metadata == {"v": 1}


def test_nothing_is_encoded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    encoder = FakeEncoder()
    with mvdb.open(path, encoder=encoder) as db:
        db.insert(["a", "b"], texts=["one two", "three"])
        encoder.calls.clear()
        db.update("a", metadata={"v": 1})
        assert encoder.calls == []
    with mvdb.open(path) as db:  # without an encoder
        db.update("b", metadata={"v": 2})
        assert [document.text for document in db.documents()] == ["one two", "three"]
        assert db.facets("v") == [(1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("ids", "options", "error", "part"),
    [
        (99, {"metadata": {}}, mvdb.NotFoundError, "no document has the id 99"),
        ([1, "2"], {"metadata": {}}, mvdb.NotFoundError, "no document has the id '2'"),
        ([1, 1], {"metadata": {}}, mvdb.InvalidInputError, "id 1 is given twice"),
        ([1, 2], {"metadata": [{}]}, mvdb.InvalidInputError, "metadata of 1 documents for 2 ids"),
        ([1, 2], {"metadata": [{}, 5]}, mvdb.InvalidInputError, "metadata[1]"),
        ([1, 2], {"metadata": {"x": {1}}}, mvdb.InvalidInputError, "metadata[0].x"),
        (1, {"metadata": {"x": float("nan")}}, mvdb.InvalidInputError, "metadata[0].x"),
        (1, {"metadata": "x"}, mvdb.InvalidInputError, "metadata"),
        (True, {"metadata": {}}, mvdb.InvalidInputError, "an id is a str or an int"),
        (1, {"metadata": {}, "merge": 1}, mvdb.InvalidInputError, "merge: "),
        (
            1,
            {"metadata": {"more": "x" * (1 << 23)}, "merge": True},
            mvdb.InvalidInputError,
            "bytes as JSON",
        ),
    ],
)
def test_refused(
    tmp_path: Path, ids: Any, options: dict[str, Any], error: type[Exception], part: str
) -> None:
    """With one clear error, and no document is changed."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        fill(db, 3)
        db.update(1, metadata={"text": "x" * (1 << 23)})
        with refused(db, error, part):
            db.update(ids, **options)


def test_no_documents_at_all(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        db.update([], metadata={"a": 1})
        db.update([], metadata=[], merge=True)
        assert len(db) == 0


# ---- delete by filter ----


def test_delete_by_filter(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        fill(db, 20)
        assert db.delete(filter={"n": {"$lt": 4}, "even": True}) == 2
        assert db.delete(filter={"n": {"$lt": 4}}) == 2
        assert db.delete(filter={"nothing": 1}) == 0
        assert list(db.ids()) == list(range(4, 20))
        for arguments, given in (({}, "neither was"), ({"ids": 4, "filter": {}}, "both were")):
            with refused(db, mvdb.InvalidInputError, f"delete: {'either'}", f"{given} given"):
                db.delete(**arguments)  # type: ignore[arg-type]
        with refused(db, mvdb.FilterError, "filter.$x"):
            db.delete(filter={"$x": 1})
        assert db.delete([]) == 0
        assert db.delete(filter={}) == 16
        assert len(db) == 0
        assert db.verify().ok


# ---- how they are stored ----


def test_a_codebook_that_is_not_extended(tmp_path: Path) -> None:
    """Documents keep the codebook that decodes them, in a segment of their own."""
    limits = replace(LISTED, growth=1e9)
    with opened(tmp_path / "a.mvdb", limits, dim=16, background=False) as db:
        fill_topics(db, 150)
        spec, n_tokens = trained_on([topic_vectors(name) for name in range(200)], 2)
        store_codebook(db, spec, n_tokens)
        put(db, list(range(150, 300)))
        before = [rows.tobytes() for rows in db.vectors(range(300))]
        db.update(list(range(0, 300, 3)), metadata={"seen": True}, merge=True)
        assert [rows.tobytes() for rows in db.vectors(range(300))] == before
        check(db, dict.fromkeys(range(300), 0))
        report = db.verify()
        assert report.ok, report.problems


@pytest.mark.parametrize("bits", [2, 16])
def test_an_update_of_everything(tmp_path: Path, bits: int) -> None:
    """Takes the place of all segments, with posting lists and an order where they are due, in
    segments of at most `max_tokens`, flushed whenever its metadata takes too much memory."""
    limits = replace(LISTED, max_tokens=3000, flush_bytes=10_000, growth=1e9)
    with opened(tmp_path / "a.mvdb", limits, dim=16, bits=bits, background=False) as db:
        fill_topics(db, 1500, commits=2)
        before = [rows.tobytes() for rows in db.vectors(range(1500))]
        db.update(
            list(range(1500)),
            metadata=[{"n": -name, "topic": name % 12} for name in range(1500)],
        )
        assert [rows.tobytes() for rows in db.vectors(range(1500))] == before
        db.optimize()
        assert any(listed(db)) == (bits != 16)
        check(db, dict.fromkeys(range(1500), 0))
        assert db.count({"n": {"$gt": -10}}) == 10
        assert db.count({"version": 0}) == 0
        assert db.stats().deleted_share == 0
        assert db.verify().ok


def test_a_map_that_gets_full(tmp_path: Path) -> None:
    """The transaction begins again in a larger map, with all its updates so far."""
    limits = Limits(reserved_bytes=1 << 20, map_room=1 << 20, map_slack=1 << 20)
    path = tmp_path / "a.mvdb"
    with opened(path, limits, dim=DIM, bits=16, map_size=1 << 20, background=False) as db:
        fill(db, 3000)
        before = rest(path)
        with db.transaction() as txn:
            for version in range(12):
                txn.update(list(range(0, 3000, 2)), metadata={"version": version, "x": "y" * 50})
                assert txn.count({"version": version}) == 1500
        assert rest(path) == before
        assert db.facets("version") == [(11, 1500)]
        assert db.verify().ok


def test_the_first_training_comes_with_updates(tmp_path: Path) -> None:
    """Updates of float16 documents in the transaction that trains."""
    with opened(tmp_path / "a.mvdb", SMALL, dim=DIM, background=False) as db:
        fill(db, 30)
        with db.transaction() as txn:
            txn.update([0, 29], metadata={"v": 1})
            fill(txn, 30, first=30)  # type: ignore[arg-type]
            txn.update([1, 30, 59], metadata={"v": 1})
        assert db.stats().centroids > 0
        assert list(db.ids({"v": 1})) == [0, 1, 29, 30, 59]
        assert [db.get(i)[0].text for i in (0, 59)] == ["text 0", "text 59"]  # type: ignore[union-attr]
        assert db.verify().ok


def test_words_move_along(tmp_path: Path) -> None:
    """A moved document is found by the words of its text, once, and by its new metadata."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        names = ["gull", "boat", "bread"]
        texts = ["Gulls follow the ferry E1279", "Caulk the hull", "How to bake E1279"]
        db.insert(names, [matrix(i) for i in range(3)], texts=texts)
        for version in range(3):
            db.update(["gull", "boat"], metadata={"v": version})
            found = db.search("E1279", mode="lexical")
            assert {hit.id for hit in found} == {"gull", "bread"}
            assert len(found) == 2
            found = db.search("E1279", mode="lexical", filter={"v": version})
            assert [hit.id for hit in found] == ["gull"]
        db.optimize()
        assert len(db.search("E1279", mode="lexical")) == 2
        assert db.verify().ok
