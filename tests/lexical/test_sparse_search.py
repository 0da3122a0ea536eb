"""`sparse=` of writes and searches against a dict of dicts: inner products within the error of
stored weights, through inserts, upserts, deletions, updates of metadata, training, merges and
reopening."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, FakeEncoder, matrix
from tests.support.model import id_order, max_sim
from tests.support.opening import opened

LIMITS = Limits(
    train_documents=25,
    fanout=3,
    base_tokens=8,
    commit_tokens=64,
    listed_tokens=60,
    cluster_documents=4,
    flush_bytes=3000,
    extended_at_once=0,
    extent_bytes=300,
)
"""Small files are trained, merged, and have segments whose slots are in another order than rows."""
ERROR = 1 / 256
"""Relative error of a stored weight, from 2^-16 · 129/128 on."""

Sparse = Mapping[Any, float]
terms = st.sampled_from(["sea", "Sea", "sé", "1", "2", "", 1, 2, 70_000]).filter(
    lambda one: one != ""
)
weights = st.floats(2.0**-16 * 129 / 128, 65_280, width=32) | st.floats(0.25, 4, width=32)
vectors = st.dictionaries(terms, weights, max_size=5)
maybe = st.none() | vectors
names, upserted = st.integers(0, 25), st.integers(0, 14)
changes = st.one_of(
    st.tuples(st.just("insert"), st.lists(maybe, min_size=1, max_size=12)),
    st.tuples(st.just("upsert"), st.lists(st.tuples(upserted, maybe), min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.lists(names, min_size=1, max_size=6)),
    st.tuples(st.just("update"), st.lists(names, min_size=1, max_size=4)),
    st.tuples(st.just("optimize"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
)


def inner(query: Sparse, stored: Sparse | None) -> float | None:
    """The inner product; None for a document without a term of the query."""
    common = [(query[term], stored[term]) for term in query if term in (stored or {})]
    return sum(a * b for a, b in common) if common else None


def expected(query: Sparse, model: Mapping[Any, Sparse | None]) -> dict[Any, float]:
    scores = {name: inner(query, stored) for name, stored in model.items()}
    return {name: score for name, score in scores.items() if score is not None}


def check(hits: list[mvdb.Hit], scores: Mapping[Any, float], k: int) -> None:
    """That hits are the best k of these scores, but for the error of stored weights."""
    assert len(hits) == min(k, len(scores))
    assert {hit.id for hit in hits} <= scores.keys()
    for hit in hits:
        assert hit.score == pytest.approx(scores[hit.id], rel=ERROR + 1e-6)
        assert (hit.lexical_score, hit.dense_score, hit.relevance) == (hit.score, None, None)
    order = [(-hit.score, id_order(hit.id)) for hit in hits]
    assert order == sorted(order)
    missed = max((scores[n] for n in scores.keys() - {hit.id for hit in hits}), default=0)
    assert not hits or missed * (1 - ERROR) <= hits[-1].score * (1 + 1e-6)


class Run:
    """A database and its model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model: dict[Any, Sparse | None] = {}
        self.next = 15  # ids below are upserted
        self.db = self.opened()

    def opened(self) -> mvdb.Database:
        options = {"dim": DIM, "bits": 2, "background": False, "durability": "relaxed"}
        return opened(self.path, LIMITS, **options)

    def apply(self, target: Any, kind: str, given: Any) -> None:
        if kind == "insert":
            ids = list(range(self.next, self.next + len(given)))
            self.next += len(given)
            target.insert(
                ids, [matrix(i) for i in ids], sparse=given, metadata=[{"n": i} for i in ids]
            )
            self.model.update(zip(ids, given, strict=True))
        elif kind == "upsert":
            own = dict(given)
            target.upsert(list(own), [matrix(i) for i in own], sparse=list(own.values()))
            self.model.update(own)
        elif kind == "delete":
            target.delete(given)
            for name in given:
                self.model.pop(name, None)
        elif kind == "update":
            known = [name for name in dict.fromkeys(given) if name in self.model]
            target.update(known, metadata={"v": self.next})

    def check(self, reader: Any, query: Sparse, k: int) -> None:
        scores = expected(query, self.model)
        check(reader.search(sparse=query, k=k), scores, k)
        few = {name: one for name, one in scores.items() if name % 3 == 0}
        check(reader.search(sparse=query, k=k, ids=[*range(0, 90, 3)]), few, k)


@settings(max_examples=40, deadline=None)
@given(
    story=st.lists(st.tuples(changes, st.booleans()), min_size=1, max_size=12),
    queries=st.lists(vectors, min_size=1, max_size=4),
    k=st.integers(1, 12),
)
def test_hits_are_those_of_the_model(
    story: list[tuple[tuple[str, Any], bool]], queries: list[Sparse], k: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "a.mvdb")
        for (kind, given_), inside in story:
            if kind == "optimize":
                run.db.optimize()
            elif kind == "reopen":
                run.db.close()
                run.db = run.opened()
            elif inside:
                with run.db.transaction() as txn:
                    run.apply(txn, kind, given_)
                    run.check(txn, queries[0], k)
            else:
                run.apply(run.db, kind, given_)
            run.check(run.db, queries[-1], k)
        assert run.db.verify().problems == ()
        run.db.optimize()
        for query in queries:
            run.check(run.db, query, k)
        assert run.db.verify().problems == ()
        run.db.close()


def test_every_copy_of_a_document_keeps_its_weights(tmp_path: Path) -> None:
    """An update of metadata before the training and after it, the training, a merge, a merge into a
    segment with posting lists, whose slots are in another order."""

    def check_all(weights: dict[int, float]) -> None:
        hits = db.search(sparse={"t": 1}, k=100)
        assert {hit.id: hit.score for hit in hits} == weights
        assert db.verify().ok

    with opened(tmp_path / "a.mvdb", LIMITS, dim=DIM, background=False) as db:
        db.insert([0, 1, 2], [matrix(i) for i in range(3)], sparse=[{"t": 1}, None, {"t": 3}])
        db.update([2, 0], metadata={"v": 1})
        check_all({0: 1, 2: 3})
        rest = list(range(3, 40))
        db.insert(rest, [matrix(i) for i in rest], sparse=[{"t": i} for i in rest])
        assert db.stats().centroids > 0
        weights = {0: 1.0, 2: 3.0, **{i: float(i) for i in rest}}
        check_all(weights)
        db.update([30, 4, 2], metadata={"v": 2})
        check_all(weights)
        db.delete(5)
        del weights[5]
        db.optimize()
        assert db.stats().bytes["lists"] > 0
        check_all(weights)


def test_stored_weights_are_within_the_stated_error(tmp_path: Path) -> None:
    """A query of weight 1 for a term gives the stored weight."""
    rng = np.random.default_rng(3)
    given_ = np.exp(rng.uniform(np.log(2.0**-16), np.log(65_280), 500)).astype(np.float32)
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        db.insert(
            list(range(500)),
            [matrix(0)] * 500,
            sparse=[{"t": w} for w in given_],  # type: ignore[misc]
        )
        db.insert(["tiny", "greatest"], [matrix(0)] * 2, sparse=[{"t": 1e-30}, {"t": 65_280}])
        stored = {hit.id: hit.score for hit in db.search(sparse={"t": 1}, k=502)}
    assert stored.pop("tiny") == 2.0**-16 * 129 / 128
    assert stored.pop("greatest") == 65_280
    found = np.array([stored[i] for i in range(500)])
    assert np.abs(found / given_ - 1).max() <= ERROR


def test_terms_are_taken_as_they_are(tmp_path: Path) -> None:
    """Numbers and words are kept apart; nothing is folded; 64 bytes are allowed."""
    own = [
        "Sea",
        "sea",
        "séa",
        "1",
        1,
        "##ing",
        "C++",
        "a b",
        "ÿ",
        "x" * 64,
        "日" * 21,
        0,
        2**32 - 1,
    ]
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        db.insert(list(range(len(own))), [matrix(0)] * len(own), sparse=[{term: 1} for term in own])
        for i, term in enumerate(own):
            assert [hit.id for hit in db.search(sparse={term: 1})] == [i]
        assert [hit.id for hit in db.search(sparse={np.int64(1): np.float16(2)})] == [4]


def test_weights_of_zero_and_no_terms(tmp_path: Path) -> None:
    """A document without weights, or of weights 0, is not found; nor is anything by such a
    query."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        assert db.search(sparse={"a": 1}) == []
        own = [matrix(i) for i in range(4)]
        db.insert(list("abcd"), own, sparse=[{}, {"a": 0.0}, None, {"a": 1}])
        assert [hit.id for hit in db.search(sparse={"a": 1, "b": 0})] == ["d"]
        assert db.search(sparse={}) == db.search(sparse={"a": 0.0}) == []
        assert db.search(sparse={"unknown": 1}) == []
        dense = db.search(matrix(1))
        hits = db.search(matrix(1), sparse={})
        assert [hit.id for hit in hits] == [hit.id for hit in dense]
        assert {hit.lexical_score for hit in hits} == {0.0}


def test_one_document_takes_one_mapping(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        db.insert("a", matrix(0), sparse={"t": 2})
        db.upsert("b", matrix(1), sparse={"t": 1})
        assert [hit.id for hit in db.search(sparse={"t": 1})] == ["a", "b"]
        db.upsert("a", matrix(0))  # replaced whole
        assert [hit.id for hit in db.search(sparse={"t": 1})] == ["b"]
        profile = db.profile(sparse={"t": 1})
        assert (profile.mode, [hit.id for hit in profile.hits]) == ("sparse", ["b"])


def test_many_documents_without_weights(tmp_path: Path) -> None:
    """They take no rows of their own in an index, whichever side of the others they are on."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        with db.transaction() as txn:
            txn.insert(list(range(3000)), [matrix(0, 1)] * 3000)
            txn.insert("a", matrix(1), sparse={"t": 2})
            txn.insert(list(range(3000, 3005)), [matrix(0, 1)] * 5)
            txn.insert("b", matrix(1), sparse={"t": 1})
            txn.insert(list(range(3005, 5005)), [matrix(0, 1)] * 2000)
        for _ in range(2):
            assert [hit.id for hit in db.search(sparse={"t": 1})] == ["a", "b"]
            assert db.verify().ok
            bytes_of = db.stats().bytes
            assert 0 < bytes_of["weights"] + bytes_of["weight_directory"] < 200
            db.delete(list(range(0, 3000, 2)))
            db.optimize()


def test_a_database_without_weights_has_no_index(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        db.insert([1, 2], [matrix(1), matrix(2)], texts=["a", "b"], sparse=[None, {}])
        bytes_of = db.stats().bytes
        assert bytes_of["weights"] == bytes_of["weight_directory"] == 0


# ---- both sides ----


def scaled(scores: Mapping[Any, float]) -> dict[Any, float]:
    least, greatest = min(scores.values()), max(scores.values())
    return {name: (one - least) / (greatest - least) for name, one in scores.items()}


@pytest.mark.parametrize("weight", [None, 0.0, 0.6, 1.0])
def test_hybrid_scores_are_those_of_the_rule(tmp_path: Path, weight: float | None) -> None:
    """docs/engine.md, "Hybrid search": all of a sparse vector is support, its weight .25."""
    rng = np.random.default_rng(9)
    sparse = [
        {int(t): float(w) for t, w in zip(rng.permutation(12)[:4], rng.random(4), strict=True)}
        for _ in range(40)
    ]
    query, wanted = matrix(77, 2), {3: 1.0, 5: 0.5, 99: 4.0}
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, bits=16) as db:
        db.insert(list(range(40)), [matrix(i) for i in range(40)], sparse=sparse)
        stored = dict(enumerate(db.vectors(list(range(40)))))
        hits = db.search(query, 50, sparse=wanted, lexical_weight=weight)
        ranks = db.search(query, 50, sparse=wanted, fusion="rrf")
        profile = db.profile(query, sparse=wanted, lexical_weight=weight)
    dense = {name: max_sim(query, rows) for name, rows in stored.items()}
    products = {name: inner(wanted, own) or 0.0 for name, own in enumerate(sparse)}
    share = 0.25 if weight is None else weight
    d, s = scaled(dense), scaled(products)
    assert {hit.id for hit in hits} == set(range(40))
    for hit in hits:
        assert hit.dense_score == pytest.approx(dense[hit.id], abs=1e-3)
        assert hit.lexical_score == pytest.approx(products[hit.id], rel=ERROR, abs=1e-6)
        both = (1 - share) * d[hit.id] + share * s[hit.id]
        assert hit.score == pytest.approx(both, abs=2 * ERROR)
    assert (profile.mode, profile.lexical_weight) == ("hybrid", share)
    best = max(products, key=lambda name: products[name])
    by_rank = {hit.id: hit.score for hit in ranks}
    above = sum(one > dense[best] for one in dense.values())
    assert by_rank[best] == pytest.approx(1 / 61 + 1 / (61 + above))


def test_what_only_the_weights_find_is_scored_by_both(tmp_path: Path) -> None:
    """The union of both sides: 150 documents have the query's vectors, one has its term."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, bits=16) as db:
        db.insert(list(range(150)), [matrix(0)] * 150)
        db.insert("far", -matrix(0)[:1], sparse={"t": 1})
        hits = db.search(matrix(0), 200, sparse={"t": 1}, lexical_weight=0.9)
        assert hits[0].id == "far"
        assert hits[0].dense_score is not None
        assert db.profile(matrix(0), sparse={"t": 1}).found_by_words == 1


def test_a_text_with_an_encoder_is_the_other_side(tmp_path: Path) -> None:
    """The str becomes vectors; its words are not searched, so no lexical index is needed."""
    with mvdb.open(tmp_path / "a.mvdb", encoder=FakeEncoder(), lexical=False) as db:
        db.insert(["a", "b"], texts=["the sea", "the wood"], sparse=[{"t": 1}, {"t": 2}])
        hits = db.search("sea", sparse={"t": 1}, lexical_weight=1.0)
        assert [hit.id for hit in hits] == ["b", "a"]
        hits = db.search("sea", sparse={"t": 1}, lexical_weight=0.0)
        assert [hit.id for hit in hits] == ["a", "b"]
        assert db.profile("sea", sparse={"t": 1}).mode == "hybrid"


# ---- everything else that a search has ----


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, bits=16, background=False) as db:
        db.insert(
            list(range(60)),
            [matrix(i) for i in range(60)],
            texts=[f"text {i}" for i in range(60)],
            metadata=[{"n": i, "kind": "abc"[i % 3]} for i in range(60)],
            sparse=[{"t": 1 + i, "even" if i % 2 == 0 else "odd": 1} for i in range(60)],
        )
        yield db


def test_filters_ids_pages_groups_and_scores(db: mvdb.Database) -> None:
    def found(**options: Any) -> list[Any]:
        return [hit.id for hit in db.search(sparse={"t": 1}, **options)]

    assert found(k=3) == [59, 58, 57]
    assert found(k=3, filter={"n": {"$lt": 10}}) == [9, 8, 7]
    assert found(ids=[1, 7, 99]) == [7, 1]
    assert found(k=2, offset=4) == [55, 54]
    assert found(k=3, group_by="kind") == [59, 58, 57]
    assert len(found(k=60, min_score=50)) == 11
    assert found(k=3, filter={"n": 1000}) == []
    assert [hit.text for hit in db.search(sparse={"odd": 1, "t": 1}, k=1)] == ["text 59"]
    assert [hit.id for hit in db.more_like(5, 1, sparse={"even": 1}, lexical_weight=1.0)] == [0]


def test_ties_are_broken_by_id_however_many(db: mvdb.Database) -> None:
    for k in (1, 7, 29, 30):
        assert [hit.id for hit in db.search(sparse={"even": 1}, k=k)] == list(range(0, 60, 2))[:k]


def test_snapshots_see_their_own_state(db: mvdb.Database) -> None:
    with db.snapshot() as snap:
        db.upsert(59, matrix(1), sparse={"t": 0.5})
        db.delete(58)
        db.optimize()
        assert [hit.id for hit in snap.search(sparse={"t": 1}, k=2)] == [59, 58]
        assert [hit.id for hit in db.search(sparse={"t": 1}, k=2)] == [57, 56]


def test_copies_of_a_file_keep_the_weights(db: mvdb.Database, tmp_path: Path) -> None:
    def scores(reader: mvdb.Database) -> list[tuple[Any, float]]:
        hits = reader.search(sparse={"t": 1.5, "odd": 2}, k=60)
        return [(hit.id, hit.score) for hit in hits]

    before = scores(db)
    db.backup(tmp_path / "backup.mvdb")
    db.compact(tmp_path / "compact.mvdb")
    db.compact()
    assert scores(db) == before
    done = mvdb.repair(tmp_path / "backup.mvdb", tmp_path / "repaired.mvdb")
    assert (done.recovered, done.lost, done.weights_lost) == (60, 0, 0)
    for name in ("backup", "compact", "repaired"):
        with mvdb.open(tmp_path / f"{name}.mvdb") as copy:
            assert scores(copy) == before
            assert copy.verify().ok


def test_tenants_and_collections(tmp_path: Path) -> None:
    """Weights are found by their own tenant alone, and in their own collection."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, tenants=True) as db:
        db.insert("a", matrix(0), tenant="one", sparse={"t": 1})
        db.insert("a", matrix(0), tenant="two", sparse={"t": 2})
        (hit,) = db.search(sparse={"t": 1}, tenant="one")
        assert hit.score == 1
    with mvdb.open(tmp_path / "b.mvdb", dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        db.insert("a", matrix(0), sparse={"t": 1})
        mail.insert("a", matrix(0), sparse={"t": 2})
        assert [hit.score for hit in db.search(sparse={"t": 1})] == [1]
        assert [hit.score for hit in mail.search(sparse={"t": 1})] == [2]


def test_streams_carry_weights(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        batches: list[Any] = [
            {"ids": [1, 2], "embeddings": [matrix(1), matrix(2)], "sparse": [{"t": 1}, None]},
            (["a"], [matrix(3)], None, None, None, [{"t": 3}]),
            {"ids": "b", "embeddings": matrix(3), "sparse": {"t": 2}},
        ]
        assert db.insert_batches(batches, commit_every=1) == 4
        assert [hit.id for hit in db.search(sparse={"t": 1})] == ["a", "b", 1]


def test_a_full_map_loses_no_weights(tmp_path: Path) -> None:
    """The transaction begins again in a larger map, and makes its changes again."""
    small = Limits(reserved_bytes=1 << 20, map_room=1 << 20, map_slack=1 << 20)
    with opened(tmp_path / "a.mvdb", small, dim=DIM, bits=16, map_size=1 << 20) as db:
        with db.transaction() as txn:
            for first in range(0, 4000, 250):
                ids = list(range(first, first + 250))
                own = [{"t": 1 + i, i: 1} for i in ids]
                txn.insert(ids, [matrix(i, 20) for i in ids], sparse=own)
                if first == 500:
                    assert txn.search(sparse={"t": 1}, k=1)[0].id == 749
        assert db.search(sparse={17: 1})[0].id == 17
        assert len(db.search(sparse={"t": 1}, k=5000)) == 4000
        assert db.verify().ok


def test_damaged_weights_are_noticed_and_left_out_of_a_repair(tmp_path: Path) -> None:
    """A flipped bit in a segment's weights: nothing is computed from them, everything else goes on,
    and a repair keeps the weights of the other segment alone."""
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=DIM, bits=16, background=False) as db:
        own = [{"a": 1, "unmistakable": 1}, {"a": 2}, {"a": 3}]
        db.insert([1, 2, 3], [matrix(i) for i in range(3)], sparse=own)
        db.insert([4, 5], [matrix(i) for i in range(2)], sparse=[{"a": 4}, None])
        db.delete(3)
    path.write_bytes(
        path.read_bytes().replace(b"unmistakable", b"Unmistakable")
    )  # in old pages too
    with mvdb.open(path, background=False) as db:
        assert any("damaged" in problem for problem in db.verify().problems)
        for search in (
            lambda: db.search(sparse={"a": 1}),
            lambda: db.search(matrix(0), sparse={"a": 1}),
            lambda: db.update(1, metadata={}),
            lambda: db.optimize(),
        ):
            with pytest.raises(mvdb.CorruptionError):
                search()
        assert len(db.search(matrix(0))) == 4
        assert len(db) == 4
    done = mvdb.repair(path, tmp_path / "b.mvdb")
    assert (done.recovered, done.lost, done.weights_lost) == (4, 0, 2)
    with mvdb.open(tmp_path / "b.mvdb") as db:
        assert db.verify().ok
        assert [hit.id for hit in db.search(sparse={"a": 1})] == [4]
        assert len(db.search(matrix(0))) == 4
