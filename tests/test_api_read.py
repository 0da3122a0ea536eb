"""Reading: searches against an independent brute force, hits, snapshots and numbers."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, fill, matrix
from tests.support.model import Id, id_order, max_sim, ranked, unit
from tests.support.opening import opened

N = 120
READING = [
    "search",
    "search_batch",
    "rerank",
    "explain",
    "profile",
    "get",
    "vectors",
    "ids",
    "__len__",
    "__contains__",
]


@pytest.fixture(scope="module", params=[(2, False), (16, False), (1, True), (2, True), (8, True)])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mvdb.Database]:
    """120 documents of one to six tokens and some deleted ones; trained or not."""
    bits, trained = request.param
    path = tmp_path_factory.mktemp("read") / "a.mvdb"
    limits = Limits(train_documents=50 if trained else 10_000)
    with opened(path, limits, dim=DIM, bits=bits) as database:
        fill(database, 10, first=1000)
        for start in range(0, N, 40):
            numbers = range(start, start + 40)
            database.insert(
                list(numbers),
                [matrix(i, 1 + i % 6) for i in numbers],
                texts=[f"text {i}" for i in numbers],
                metadata=[{"n": i, "even": i % 2 == 0} for i in numbers],
            )
        database.delete(range(1000, 1010))
        assert (database.stats().centroids > 0) == trained
        yield database


def brute_force(db: Any, query: NDArray[Any]) -> dict[Id, float]:
    names = list(db.ids())
    return {name: max_sim(query, rows) for name, rows in zip(names, db.vectors(names), strict=True)}


def check(hits: list[mvdb.Hit], scores: dict[Id, float], k: int) -> None:
    """Hits are the best k of the scores, in order, to 1e-4 relative."""
    assert len(hits) == min(k, len(scores))
    expected = [scores[name] for name in ranked(scores, k)]
    got = [hit.score for hit in hits]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose([scores[hit.id] for hit in hits], got, rtol=1e-4, atol=1e-4)
    assert len({hit.id for hit in hits}) == len(hits)
    order = [(-hit.score, id_order(hit.id)) for hit in hits]
    assert order == sorted(order)


# ---- scores ----


@pytest.mark.parametrize("tokens", [1, 3, 32])
def test_exact_search_is_brute_force_over_the_stored_vectors(
    db: mvdb.Database, tokens: int
) -> None:
    for seed in range(5):
        query = matrix(900 + seed, tokens)
        check(db.search(query, 10, exact=True), brute_force(db, query), 10)


def test_the_default_search_of_a_small_collection_is_exact(db: mvdb.Database) -> None:
    query = matrix(950, 4)
    check(db.search(query), brute_force(db, query), 10)


def test_few_candidates_still_give_true_scores(db: mvdb.Database) -> None:
    query = matrix(951, 4)
    scores = brute_force(db, query)
    hits = db.search(query, 5, candidates=20, nprobe=2)
    assert len(hits) == 5
    for hit in hits:
        assert hit.score == pytest.approx(scores[hit.id], rel=1e-4, abs=1e-4)
    found = {hit.id for hit in db.search(query, 5, candidates=60)}
    assert len(found & set(ranked(scores, 5))) >= 3


def test_k_beyond_the_collection_gives_all(db: mvdb.Database) -> None:
    query = matrix(952)
    for k in (N, N + 1, 10**12, np.int64(10_000)):
        check(db.search(query, k), brute_force(db, query), N)  # type: ignore[arg-type]


def test_a_query_of_4096_tokens(db: mvdb.Database) -> None:
    query = matrix(953, 4096)
    hits = db.search(query, 3, exact=True)
    scores = brute_force(db, query)
    np.testing.assert_allclose(
        [hit.score for hit in hits], [scores[name] for name in ranked(scores, 3)], rtol=1e-4
    )


def test_the_form_of_a_query_does_not_matter(db: mvdb.Database) -> None:
    query = matrix(954, 4)
    expected = [(hit.id, hit.score) for hit in db.search(query, 5)]
    forms = [
        query.astype("f8"),
        np.asfortranarray(query),
        query.tolist(),
        np.insert(query, [0, 4], 0, axis=0),
        query * 4,
    ]
    for form in forms:
        hits = db.search(form, 5)
        assert [hit.id for hit in hits] == [name for name, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected])


def test_explain_rerank_and_search_agree_exactly(db: mvdb.Database) -> None:
    for tokens in (1, 5, 33):
        query = matrix(955, tokens)
        hits = db.search(query, N, exact=True)
        again = db.rerank(query, [hit.id for hit in reversed(hits)])
        assert [(hit.id, hit.score) for hit in again] == [(hit.id, hit.score) for hit in hits]
        for hit in hits[:20]:
            told = db.explain(query, hit.id)
            (stored,) = db.vectors(hit.id)
            assert told.score == hit.score
            assert told.scores.shape == (tokens, len(stored))
            assert told.scores.dtype == np.float32
            np.testing.assert_allclose(told.scores, unit(query) @ stored.T, atol=1e-4)
            assert np.array_equal(told.best, told.scores.argmax(axis=1))


def test_the_same_query_gives_the_same_list_on_any_number_of_threads(db: mvdb.Database) -> None:
    queries = [matrix(960 + i, 1 + i) for i in range(12)]
    single = [[(hit.id, hit.score) for hit in db.search(query, 7)] for query in queries]
    for threads in (None, 1, 2, 5, 64):
        rows = db.search_batch(queries, 7, threads=threads)
        assert [[(hit.id, hit.score) for hit in hits] for hits in rows] == single
    assert db.search_batch([]) == []
    stacked = np.stack([matrix(970), matrix(971)])
    assert [hits[0].id for hits in db.search_batch(list(stacked), 1)] == [
        db.search(query, 1)[0].id for query in stacked
    ]


# ---- restrictions ----


def test_min_score(db: mvdb.Database) -> None:
    query = matrix(980, 4)
    scores = brute_force(db, query)
    bound = sorted(scores.values())[N // 2] + 1e-3
    hits = db.search(query, N, min_score=bound, exact=True)
    assert all(hit.score >= bound for hit in hits)
    assert abs(len(hits) - sum(score >= bound for score in scores.values())) <= 1
    assert db.search(query, min_score=1e9) == []
    assert len(db.search(query, 5, min_score=-(10**6))) == 5


def test_ids_restrict(db: mvdb.Database) -> None:
    query = matrix(981, 4)
    scores = brute_force(db, query)
    wanted: list[Id] = [5, 7, 5, "5", "unknown", 10**15, 1001, 9]
    hits = db.search(query, 10, ids=wanted)
    check(hits, {name: scores[name] for name in (5, 7, 9)}, 10)
    check(db.search(query, 1, ids=7), {7: scores[7]}, 1)
    check(db.search(query, 2, ids=(i for i in range(50))), {i: scores[i] for i in range(50)}, 2)  # type: ignore[arg-type]
    assert db.search(query, ids=[]) == []
    assert db.search(query, ids=["unknown"]) == []


def test_rerank_ignores_unknown_and_repeated_ids(db: mvdb.Database) -> None:
    query = matrix(982, 4)
    scores = brute_force(db, query)
    hits = db.rerank(query, [5, 9, 5, "no", 1001, 7])
    check(hits, {name: scores[name] for name in (5, 7, 9)}, 3)
    assert [hit.id for hit in db.rerank(query, [5, 7, 9], k=1)] == [hits[0].id]
    assert db.rerank(query, []) == []
    assert db.rerank(query, "no") == []


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda n: True),
    ({"n": 5}, lambda n: n == 5),
    ({"n": {"$ne": 5}}, lambda n: n != 5),
    ({"n": {"$gte": 10, "$lt": 20}}, lambda n: 10 <= n < 20),
    ({"n": {"$gt": 110.5}}, lambda n: n > 110.5),
    ({"n": {"$lte": 3}, "even": True}, lambda n: n <= 3 and n % 2 == 0),
    ({"n": {"$in": [1, 2, 500]}}, lambda n: n in (1, 2)),
    ({"n": {"$nin": [1, 2]}}, lambda n: n not in (1, 2)),
    ({"$or": [{"n": 3}, {"n": {"$gt": 117}}]}, lambda n: n == 3 or n > 117),
    ({"$and": [{"even": False}, {"$not": {"n": {"$gt": 8}}}]}, lambda n: n % 2 == 1 and n <= 8),
    ({"n": {"$exists": False}}, lambda n: False),
    ({"nowhere": "x"}, lambda n: False),
    ({"n": "5"}, lambda n: False),
]


@pytest.mark.parametrize(("condition", "holds"), FILTERS)
def test_filters_apply_before_scoring(db: mvdb.Database, condition: Any, holds: Any) -> None:
    query = matrix(983, 4)
    scores = brute_force(db, query)
    allowed = {name: score for name, score in scores.items() if holds(name)}
    check(db.search(query, 10, filter=condition), allowed, 10)
    check(db.search(query, 10, filter=condition, exact=True), allowed, 10)
    chosen = {name: score for name, score in allowed.items() if name in range(60)}
    both = db.search(query, 10, filter=condition, ids=[*range(60), "unknown"])
    check(both, chosen, 10)


def test_filters_reach_into_nested_objects_and_lists(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "f.mvdb", dim=DIM) as db:
        fields: list[Any] = [
            {"author": {"name": "Ann"}, "tags": ["a", "b"]},
            {"author": {"name": "Bo"}, "tags": ["b"], "title": "late interaction"},
            None,
            {"author": None, "tags": []},
        ]
        db.insert(range(4), [matrix(i) for i in range(4)], metadata=fields)

        def found(condition: dict[str, Any]) -> set[Id]:
            return {hit.id for hit in db.search(matrix(9), filter=condition)}

        assert found({"author.name": "Ann"}) == {0}
        assert found({"tags": {"$contains": "b"}}) == {0, 1}
        assert found({"title": {"$contains": "inter"}}) == {1}
        assert found({"author": None}) == {3}
        assert found({"author.name": {"$exists": False}}) == {2, 3}
        assert found({"tags": {"$exists": True}}) == {0, 1, 3}


# ---- ties ----


@pytest.mark.parametrize("trained", [False, True])
def test_ties_come_in_id_order(tmp_path: Path, trained: bool) -> None:
    names: list[Id] = [*range(-10, 15), *(f"s{i}" for i in range(25))]
    expected = sorted(names, key=id_order)
    rng = np.random.default_rng(3)
    shuffled = [names[i] for i in rng.permutation(len(names))]
    limits = Limits(train_documents=30 if trained else 1000)
    with opened(tmp_path / "t.mvdb", limits, dim=DIM) as db:
        db.insert(shuffled[:40], [matrix(1)] * 40)
        for name in shuffled[40:]:
            db.insert(name, matrix(1))
        for query in (matrix(1), matrix(2)):
            choices: list[dict[str, Any]] = [{}, {"exact": True}, {"ids": names}]
            for options in choices:
                hits = db.search(query, 50, **options)
                assert len({hit.score for hit in hits}) == 1
                assert [hit.id for hit in hits] == expected
            assert [hit.id for hit in db.search(query, 7)] == expected[:7]
            assert [hit.id for hit in db.rerank(query, shuffled)] == expected


# ---- documents ----


def test_get_keeps_the_order_asked_for(db: mvdb.Database) -> None:
    documents = db.get([7, "no", 3, 7, 1001])
    ids = [document and document.id for document in documents]
    assert ids == [7, None, 3, 7, None]
    assert documents[0] == mvdb.Document(7, "text 7", {"n": 7, "even": False}, 2)


def test_iteration_goes_on_beyond_one_page_of_ids(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "many.mvdb", dim=1) as db:
        count = 2500
        db.insert(range(count), (np.ones((count, 1), np.float32), [1] * count))
        assert list(db.ids()) == list(range(count))
        with db.transaction() as txn:
            txn.delete(range(0, count, 2))
            assert list(txn.ids()) == list(range(1, count, 2))


def test_hits_read_their_text_when_asked(db: mvdb.Database) -> None:
    hits = db.search(matrix(7, 2), 3)
    assert hits[0].id == 7
    assert isinstance(hits[0].score, float)
    assert hits[0].text == "text 7"
    assert hits[0].metadata == {"n": 7, "even": False}
    assert "7" in repr(hits[0])


def test_an_empty_database_answers_everything(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "e.mvdb", dim=DIM) as db:
        query = matrix(1)
        assert db.search(query) == []
        assert db.search(query, exact=True, filter={"n": 1}, ids=[1]) == []
        assert db.search_batch([query, query]) == [[], []]
        assert db.rerank(query, ["a"]) == []
        assert db.profile(query).hits == []
        assert (len(db), list(db.ids()), db.get("a")) == (0, [], [None])
        stats = db.stats()
        assert (stats.documents, stats.tokens, stats.segments, stats.deleted_share) == (0, 0, 0, 0)
        assert db.verify().ok
        db.optimize()
        db.compact()


# ---- snapshots, lazy texts ----


def test_a_snapshot_is_one_frozen_state(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "s.mvdb", dim=DIM) as db:
        fill(db, 20)
        query = matrix(5)
        with db.snapshot() as snap:
            before = [(hit.id, hit.score) for hit in snap.search(query, 5)]
            db.upsert(5, matrix(50), texts="replaced")
            db.delete(range(10, 20))
            fill(db, 5, first=100)
            db.optimize()
            assert [(hit.id, hit.score) for hit in snap.search(query, 5)] == before
            assert (len(snap), 12 in snap, 101 in snap) == (20, True, False)
            assert list(snap.ids()) == list(range(20))
            assert snap.get(5)[0] == mvdb.Document(5, "text 5", {"n": 5, "even": False}, 3)
            assert snap.search(query, 1)[0].text == "text 5"
            assert snap.search(query, filter={"n": 12})[0].id == 12
            assert snap.rerank(query, [12])[0].id == 12
            assert snap.explain(query, 12).scores.shape == (3, 3)
            assert len(snap.search_batch([query] * 3)) == 3
            assert len(snap.profile(query).hits) == 10
            np.testing.assert_allclose(snap.vectors(5)[0], unit(matrix(5)), atol=1e-3)
            assert (len(db), 12 in db) == (15, False)
        for call in (lambda: snap.search(query), lambda: len(snap), lambda: list(snap.ids())):
            with pytest.raises(mvdb.ClosedError, match="snapshot is closed"):
                call()
        snap.close()


def test_the_reading_methods_are_the_same_everywhere() -> None:
    for name in READING:
        signatures = {
            str(inspect.signature(getattr(kind, name)))
            for kind in (mvdb.Database, mvdb.Snapshot, mvdb.Transaction)
        }
        assert len(signatures) == 1, name


def test_hits_outlive_what_gave_them(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "h.mvdb", dim=DIM) as db:
        fill(db, 3)
        with db.snapshot() as snap:
            old = snap.search(matrix(1), 3)
        assert [hit.text for hit in old] == [f"text {hit.id}" for hit in old]
        with db.transaction() as txn:
            txn.insert("new", matrix(9), texts="of a transaction", metadata={"x": 1})
            hits = txn.search(matrix(9), 4)
        assert (hits[0].text, hits[0].metadata) == ("of a transaction", {"x": 1})
        late = db.search(matrix(0), 4)
        db.upsert(0, matrix(0), texts="another document now")
        db.delete(1)
        texts = {hit.id: hit.text for hit in late}
        assert texts == {0: None, 1: None, 2: "text 2", "new": "of a transaction"}
        db.optimize()
        db.compact()
        assert hits[1].text == (None if hits[1].id in (0, 1) else "text 2")


def test_hits_of_a_rolled_back_transaction_get_nobody_elses_text(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "h.mvdb", dim=DIM) as db:
        fill(db, 1)
        txn = db.transaction()
        txn.insert("mine", matrix(9), texts="rolled back")
        hits = txn.search(matrix(9), 2)
        txn.rollback()
        db.insert("other", matrix(8), texts="of another document")
        assert [hit.text for hit in hits] == [None, "text 0"]


# ---- profile, stats ----


def test_a_profile_says_what_a_search_did(db: mvdb.Database) -> None:
    """`reads` are those asked of the system ahead of use: here earlier tests have read everything
    already (see tests/index/test_prefetching.py), but not through a handle of its own."""
    query = matrix(990, 4)
    trained = db.stats().centroids > 0
    with mvdb.open(db.path) as fresh:
        begin = time.perf_counter()
        first = fresh.profile(query, 5)
        seconds = time.perf_counter() - begin
        second = fresh.profile(query, 5)
    profile = db.profile(query, 5)
    expected = [(hit.id, hit.score) for hit in db.search(query, 5)]
    assert 0 < sum(first.stages.values()) <= seconds
    for one in (first, second, profile):
        assert [(hit.id, hit.score) for hit in one.hits] == expected
        # float16 vectors have no fast score. Only the first search verifies what it reads.
        read = ["read"] if one is first else []
        assert set(one.stages) == {*read, "score", *(["refine"] if trained else [])}
        assert (one.plan, one.candidates) == ("exact", N)  # fewer than would be looked at anyway
        for name in ("reads", "bytes_read"):
            assert isinstance(getattr(one, name), int)
        nothing = (one.lists, one.postings, one.prefetched, one.prefetch_hit_rate, one.wasted_bytes)
        assert nothing == (0, 0, 0, 0, 0)
        assert set(one.costs) == {"exact", "interaction"}
        assert (one.costs["exact"] > one.costs["interaction"] > 0) == trained
    assert first.reads > 0
    assert first.bytes_read >= first.reads
    assert (second.reads, second.bytes_read) == (0, 0), "everything was read by the first query"
    few = db.profile(query, 5, candidates=20)
    assert few.plan == "interaction"
    assert set(few.stages) == {*(["coarse"] if trained else []), "score", "refine"}
    assert (few.candidates, few.postings) == ((20, db.stats().tokens) if trained else (N, 0))
    exact = db.profile(query, 5, exact=True)
    assert (exact.plan, exact.costs, exact.candidates) == ("exact", {}, N)
    assert [(hit.id, hit.score) for hit in exact.hits] == expected


def test_stats_count_what_is_there(db: mvdb.Database) -> None:
    stats = db.stats()
    tokens = sum(document.n_tokens for document in db.get(range(N)) if document)
    assert (stats.documents, stats.tokens) == (N, tokens)
    assert (stats.dim, stats.bits) == (DIM, db.bits)
    assert 1 <= stats.segments <= 4
    assert stats.deleted_share in (0, pytest.approx(30 / 450))  # ten of three tokens, or merged
    assert stats.drift > 0
    assert sum(stats.bytes.values()) <= db.path.stat().st_size
    assert 0 < stats.file_bytes <= db.path.stat().st_size
    assert stats.encoder is None
