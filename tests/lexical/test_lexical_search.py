"""`mode="lexical"` against BM25 in plain Python: words, +must, -not, prefixes, phrases, fields,
filters, ids, deletions, the transaction's own writes, snapshots, repeated and merged segments."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvdb
from mvdb.limits import Limits
from tests.helpers import DIM, FakeEncoder, matrix
from tests.lexical.word_model import WordModel, Words
from tests.support.model import check_hits
from tests.support.opening import opened

LIMITS = Limits(train_documents=1 << 30, fanout=4, base_tokens=8, commit_tokens=64, flush_bytes=900)
VOCABULARY = ("apple", "pear", "fig", "plum", "quince", "applesauce", "apply")
words = st.sampled_from(VOCABULARY)
texts = st.lists(words, max_size=9).map(" ".join)
queries = st.builds(
    Words,
    plain=st.lists(words, max_size=3).map(tuple),
    must=st.lists(words, max_size=2).map(tuple),
    phrases=st.lists(st.lists(words, min_size=2, max_size=3).map(tuple), max_size=2).map(tuple),
    excluded=st.lists(words, max_size=1).map(tuple),
).filter(lambda query: query.plain or query.must or query.phrases)


def insert(db: mvdb.Database | mvdb.Transaction, names: Sequence[Any], own: Sequence[Any]) -> None:
    """Documents with these texts, and metadata that tell their number of words."""
    db.upsert(
        list(names),
        [matrix(i, 1) for i in range(len(names))],
        texts=list(own),
        metadata=[{"n": len((text or "").split()), "kind": "a b"} for text in own],
    )


def found(db: Any, text: str, k: int = 50, **options: Any) -> list[Any]:
    return [hit.id for hit in db.search(text=text, k=k, mode="lexical", **options)]


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        yield db


@settings(max_examples=60)
@given(
    commits=st.lists(st.lists(st.none() | texts, min_size=1, max_size=8), min_size=1, max_size=6),
    deleted=st.sets(st.integers(0, 30), max_size=8),
    queries=st.lists(queries, min_size=1, max_size=6),
    k=st.integers(1, 12),
)
def test_hits_are_those_of_the_model(
    commits: list[list[str | None]], deleted: set[int], queries: list[Words], k: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mvdb"
        stored: dict[Any, str | None] = {}
        with opened(path, LIMITS, dim=DIM, background=False, durability="relaxed") as db:
            for commit in commits:
                names = list(range(len(stored), len(stored) + len(commit)))
                insert(db, names, commit)
                stored.update(zip(names, commit, strict=True))
            db.delete(sorted(deleted))
            for name in deleted:
                stored.pop(name, None)
            model = WordModel(stored)
            for query in queries:
                names = found(db, query.text)
                assert set(names) == model.scores(query).keys(), query.text
            assert db.verify().ok
            db.optimize()  # deleted documents count in the scores until then
            for query in queries:
                scores = model.scores(query)
                check_hits(db.search(text=query.text, k=k, mode="lexical"), scores, k, 1)
                few = {name: one for name, one in scores.items() if name % 3 == 0}
                hits = db.search(text=query.text, k=k, ids=[*range(0, 48, 3)], mode="lexical")
                check_hits(hits, few, k, 1)


def test_scores_are_those_of_the_formula(db: mvdb.Database) -> None:
    """Worked by hand: two of three documents have the word; lengths 2, 4 and 6 average 4."""
    insert(db, "abc", ["fig pear", "fig fig plum plum", "plum plum plum plum plum plum"])
    hits = {hit.id: hit.score for hit in db.search(text="fig", mode="lexical")}
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert hits.keys() == {"a", "b"}
    assert hits["a"] == pytest.approx(idf * 1 / (1 + 1.2 * (0.25 + 0.75 * 2 / 4)), rel=1e-5)
    assert hits["b"] == pytest.approx(idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 4)), rel=1e-5)


def test_ties_are_broken_by_id_however_many(db: mvdb.Database) -> None:
    """The best k are the first of a larger k, though all documents have the same score."""
    names = [*range(40, 0, -1), *(f"d{i}" for i in range(40))]
    insert(db, names, ["fig"] * len(names))
    everything = found(db, "fig", 200)
    assert everything == [*range(1, 41), *sorted(f"d{i}" for i in range(40))]
    for k in (1, 5, 39, 41, 80):
        assert found(db, "fig", k) == everything[:k]


def test_prefixes_find_all_words_that_begin_so(db: mvdb.Database) -> None:
    insert(db, "abcd", ["apple pie", "applesauce", "apply", "pear"])
    assert set(found(db, "appl*")) == set("abc")
    assert set(found(db, "apple*")) == set("ab")
    assert found(db, "zz*") == []
    assert found(db, "pear -appl*") == ["d"]
    assert set(found(db, "appl* -apply")) == set("ab")
    assert found(db, "+pie appl*") == ["a"]
    assert found(db, "+appl* pear") == found(db, "appl*")


def test_phrases(db: mvdb.Database) -> None:
    insert(
        db,
        "abcde",
        [
            "the frame is too large",
            "too large a frame",
            "large too",
            "too Large, too large: TOO-LARGE",
            "too much and large",
        ],
    )
    assert set(found(db, '"too large"')) == set("abd")
    assert found(db, '"too large"')[0] == "d"
    assert found(db, '"too large" -frame') == ["d"]
    assert set(found(db, 'frame -"too large a"')) == {"a"}
    assert found(db, '"large too large"') == ["d"]
    assert found(db, '"too large" "a frame"') == ["b"]
    assert found(db, '"no such phrase"') == []
    assert found(db, '"too large"', k=1) == ["d"]


def test_phrases_are_exact_for_any_k(db: mvdb.Database) -> None:
    """Many documents have both words, few side by side and those with low bounds: they are read
    until none of the rest can be better."""
    rng = np.random.default_rng(5)
    own = []
    for i in range(600):
        filler = ["x"] * int(rng.integers(0, 30))
        pair = ["red", "blue"] if i % 97 == 0 else ["blue"] * int(rng.integers(1, 6)) + ["red"]
        own.append(" ".join([*filler, *pair]))
    insert(db, range(600), own)
    model = WordModel(dict(enumerate(own)))
    query = Words(plain=("x",), phrases=(("red", "blue"),))
    for k in (1, 3, 5, 7, 20):
        check_hits(db.search(text=query.text, k=k), model.scores(query), k, 1)
    profile = db.profile(text=query.text, k=3)
    assert profile.mode == "lexical"
    assert profile.texts > 0
    assert {"terms", "words", "phrases"} <= profile.stages.keys()


def test_a_phrase_is_found_behind_better_bounds(db: mvdb.Database) -> None:
    """Many documents have both words often and the phrase once; the best ones have it twice and
    the words no oftener, so that they are read last."""
    decoys = ["red x red x red x red x blue x blue x blue x red blue" for _ in range(100)]
    best = ["red blue x red blue" + " x" * (12 + i) for i in range(4)]
    own = [*decoys, *best]
    insert(db, range(len(own)), own)
    scores = WordModel(dict(enumerate(own))).scores(Words(phrases=(("red", "blue"),)))
    for k in (1, 3, 4, 6):
        check_hits(db.search(text='"red blue"', k=k), scores, k, 1)
    assert {hit.id for hit in db.search(text='"red blue"', k=4)} == set(range(100, 104))


def test_fields_filters_and_ids(db: mvdb.Database) -> None:
    insert(db, "abcd", ["fig", "fig pear", "fig pear plum", "pear"])
    db.upsert("e", matrix(1), texts="fig", metadata={"n": 2, "kind": "c", "draft": True})
    assert set(found(db, "fig n:2")) == {"b", "e"}
    assert found(db, "fig kind:c") == ["e"]
    assert found(db, 'fig kind:"a b" +plum') == ["c"]
    assert found(db, "fig -kind:c -n:1 -plum") == ["b"]
    assert found(db, "fig", filter={"n": {"$gte": 2}, "kind": "a b"}, ids=["b", "a", "zz"]) == ["b"]
    assert found(db, "fig", ids=[]) == []
    assert found(db, "fig", filter={"n": 77}) == []
    scores = [hit.score for hit in db.search(text="fig", mode="lexical")]
    least = sorted(scores)[1]
    assert len(found(db, "fig", min_score=least)) == sum(score >= least for score in scores) == 3


def test_a_field_that_no_document_has_is_read_as_words(db: mvdb.Database) -> None:
    insert(db, "ab", ["see note: fig", "pear"])
    assert found(db, "note:fig") == ["a"]
    db.upsert("c", matrix(1), texts="plum", metadata={"note": "fig"})
    assert found(db, "plum note:fig") == ["c"]
    assert found(db, "fig note:fig", ids=["a", "b"]) == ["a"]  # none of these has it
    db.delete("c")
    assert found(db, "note:fig") == ["a"]


def test_transactions_and_snapshots(db: mvdb.Database) -> None:
    insert(db, "ab", ["fig", "pear"])
    with db.snapshot() as snapshot, db.transaction() as txn:
        insert(txn, "c", ["fig fig"])
        txn.delete("a")
        assert found(txn, "fig") == ["c"]
        insert(txn, "b", ["fig tree with many leaves"])
        assert found(txn, "fig") == ["c", "b"]
        assert found(db, "fig") == found(snapshot, "fig") == ["a"]
    assert found(db, "fig") == ["c", "b"]
    txn = db.transaction()
    insert(txn, "d", ["fig"])
    assert set(found(txn, "fig")) == set("bcd")
    txn.rollback()
    assert found(db, "fig") == ["c", "b"]


def test_segments_with_lists_and_an_order(tmp_path: Path) -> None:
    """Words are by row, vectors by slot: filters of both kinds agree."""
    limits = Limits(train_documents=50, listed_tokens=100, cluster_documents=4)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        names = list(range(300))
        own = [f"w{i % 7} w{i % 11} n{i}" for i in names]
        rng = np.random.default_rng(0)
        vectors = rng.standard_normal((300, 2, DIM)).astype(np.float32)
        db.insert(names, vectors, texts=own, metadata=[{"m": i % 5} for i in names])
        assert db.stats().bytes["order"] > 0
        db.delete(list(range(0, 300, 10)))
        for turn in range(2):
            expected = {i for i in names if i % 10 and i % 7 == 3}
            assert set(found(db, "w3", 300)) == {
                i for i in names if i % 10 and 3 in (i % 7, i % 11)
            }
            assert expected <= set(found(db, "w3", 300))
            with_filter = found(db, "w3", 300, filter={"m": 1})
            assert set(with_filter) == {
                i for i in names if i % 10 and 3 in (i % 7, i % 11) and i % 5 == 1
            }
            assert found(db, "n123") == [123], turn
            db.optimize()


def test_the_mode_follows_the_arguments(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM) as db:
        insert(db, "ab", ["fig", "pear"])
        assert db.profile("fig").mode == db.profile(text="fig").mode == "lexical"
        assert db.profile(matrix(1)).mode == "dense"
        assert db.search("fig") == db.search(text="fig") == db.search("fig", mode="lexical")
        assert db.search_batch(["fig", "pear"], 2) == [db.search("fig", 2), db.search("pear", 2)]
        assert db.search_batch(["fig", matrix(1)], 2) == [db.search("fig"), db.search(matrix(1))]
        for arguments, fault in (
            ({}, "token vectors or a text"),
            ({"query": matrix(1), "mode": "lexical"}, "words alone"),
            ({"query": "fig", "text": "fig", "mode": "lexical"}, "words alone"),
            ({"query": matrix(1), "text": "fig", "mode": "dense"}, "leave text out"),
            ({"query": "fig", "mode": "dense"}, "needs an encoder"),
        ):
            with pytest.raises(mvdb.InvalidInputError, match=fault):
                db.search(**arguments)
        with pytest.raises(mvdb.InvalidInputError, match=r"^text: search_batch"):
            db.search_batch([matrix(1)], text="fig")
    with mvdb.open(tmp_path / "a.mvdb", encoder=FakeEncoder()) as db:
        assert db.profile("fig", mode="lexical").mode == "lexical"
        assert db.profile("fig", mode="dense").mode == "dense"


def test_without_an_index_words_are_refused(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, lexical=False) as db:
        insert(db, "ab", ["fig", "pear"])
        for arguments in ({"query": "fig"}, {"text": "fig"}, {"query": "fig", "mode": "lexical"}):
            with pytest.raises(mvdb.InvalidInputError, match=r"optimize\(lexical=True\)"):
                db.search(**arguments)
        with pytest.raises(mvdb.InvalidInputError, match=r"mvdb.open\(encoder=...\)"):
            db.search("fig")


@pytest.mark.parametrize("text", ["", " ", '""', "+", "!!!", "*", "-", "\0", "\ud800"])
def test_texts_without_words_find_nothing(db: mvdb.Database, text: str) -> None:
    insert(db, "ab", ["fig", "pear"])
    assert found(db, text) == []


def test_odd_texts_are_answered(db: mvdb.Database) -> None:
    insert(db, "ab", ["fig", "pear"])
    assert found(db, '"fig') == ["a"]
    with pytest.raises(mvdb.QueryError, match="quot"):
        db.search(text='"fig', strict=True)
    assert found(db, "fig " * 250_000) == ["a"]
    assert found(db, " ".join(f"w{i}" for i in range(150_000)) + " fig") == []
    assert set(found(db, "FIG pëar")) == {"a", "b"}


def test_parallel_searches_give_the_same(db: mvdb.Database) -> None:
    rng = np.random.default_rng(1)
    own = [" ".join(rng.choice(VOCABULARY, int(rng.integers(1, 9)))) for _ in range(500)]
    insert(db, range(500), own)
    asked = [" ".join(rng.choice(VOCABULARY, 2)) for _ in range(40)] + ['"apple pear"']
    alone = [db.search(text, 7) for text in asked]
    assert db.search_batch(asked, 7, threads=4) == alone
