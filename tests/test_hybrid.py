"""Hybrid search against numpy MaxSim, BM25 in plain Python and the rule of docs/engine.md, "Hybrid
search", worked out here, on collections so small that the union is everything that qualifies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvdb
from tests.helpers import DIM, FakeEncoder, matrix
from tests.lexical.word_model import WordModel, Words, occurrences
from tests.support.model import SCORE_TOLERANCE, max_sim, ranked
from tests.support.opening import opened
from tests.test_arrangement import SMALL

PROSE = ("apple", "pear", "fig", "plum")
NUMBERS = ("1279", "1280", "77")
words = st.sampled_from(PROSE + NUMBERS)
texts = st.none() | st.lists(words, max_size=9).map(" ".join)
queries = st.builds(
    Words,
    plain=st.lists(words, min_size=1, max_size=3).map(tuple),
    must=st.lists(words, max_size=1).map(tuple),
    phrases=st.lists(st.lists(words, min_size=2, max_size=2).map(tuple), max_size=1).map(tuple),
    excluded=st.lists(words, max_size=1).map(tuple),
)


def qualifies(query: Words, text: str | None) -> bool:
    """Whether a document may be found at all: it needs no word of the query."""
    own = (text or "").split()
    return (
        all(word in own for word in query.must)
        and all(occurrences(phrase, own) for phrase in query.phrases)
        and not any(word in own for word in query.excluded)
    )


def contributions(model: WordModel, query: Words) -> list[tuple[bool, dict[Any, float]]]:
    """Of each word and phrase: whether it is exact evidence, and its BM25 by document."""
    parts: list[tuple[bool, dict[Any, float]]] = [
        (word in NUMBERS, model.scores(Words(plain=(word,))))
        for word in (*query.plain, *query.must)
    ]
    return parts + [(True, model.scores(Words(phrases=(one,)))) for one in query.phrases]


def scaled(scores: Mapping[Any, float]) -> dict[Any, float]:
    least, greatest = min(scores.values()), max(scores.values())
    if least == greatest:
        return {name: float(one > 0) for name, one in scores.items()}
    return {name: (one - least) / (greatest - least) for name, one in scores.items()}


def fused(
    dense: Mapping[Any, float], parts: list[tuple[bool, dict[Any, float]]], weight: float | None
) -> dict[Any, float]:
    """The scores of a union by the rule of docs/engine.md."""
    exact = {n: sum(3 * own.get(n, 0) for is_exact, own in parts if is_exact) for n in dense}
    lexical = {
        n: exact[n] + sum(own.get(n, 0) for is_exact, own in parts if not is_exact) for n in dense
    }
    best = max(lexical.values())
    if weight is None:
        weight = 0.25 + 0.45 * max(exact.values()) / best if best else 0.0
    d, w = scaled(dense), scaled(lexical)
    return {name: (1 - weight) * d[name] + weight * w[name] for name in dense}


@settings(max_examples=25, deadline=None)
@given(
    own=st.lists(texts, min_size=1, max_size=20),
    deleted=st.sets(st.integers(0, 19), max_size=3),
    asked=st.lists(
        st.tuples(queries, st.none() | st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 5)),
        min_size=1,
        max_size=5,
    ),
)
def test_scores_are_those_of_the_rule(
    own: list[str | None],
    deleted: set[int],
    asked: list[tuple[Words, float | None, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mvdb"
        with mvdb.open(path, dim=DIM, bits=16, background=False, durability="relaxed") as db:
            half = len(own) // 2
            for first, last in ((0, half), (half, len(own))):
                numbers = range(first, last)
                db.insert(list(numbers), [matrix(i) for i in numbers], texts=own[first:last])
            db.delete(sorted(deleted))
            db.optimize()  # deleted documents count in BM25 until then
            stored = {i: text for i, text in enumerate(own) if i not in deleted}
            vectors = dict(zip(stored, db.vectors(list(stored)), strict=True))
            model = WordModel(stored)
            for query, weight, k in asked:
                vector = matrix(77 + k, 2)
                options: dict[str, Any] = {"text": query.text, "lexical_weight": weight}
                hits = db.search(vector, 50, **options)
                union = {name for name, text in stored.items() if qualifies(query, text)}
                assert {hit.id for hit in hits} == union
                if not hits:
                    continue
                parts = contributions(model, query)
                for hit in hits:
                    wanted = max_sim(vector, vectors[hit.id])
                    assert hit.dense_score == pytest.approx(wanted, abs=2 * SCORE_TOLERANCE)
                    wanted = sum(scores.get(hit.id, 0) for _, scores in parts)
                    assert hit.lexical_score == pytest.approx(wanted, rel=1e-4, abs=1e-5)
                scores = fused({hit.id: hit.dense_score or 0 for hit in hits}, parts, weight)
                assert [hit.score for hit in hits] == pytest.approx(
                    [scores[hit.id] for hit in hits], abs=1e-4
                )
                assert [hit.id for hit in hits] == ranked({h.id: h.score for h in hits})
                assert db.search(vector, k, **options) == hits[:k]


def insert(db: mvdb.Database | mvdb.Transaction, own: Mapping[Any, str | None]) -> None:
    db.upsert(
        list(own),
        [matrix(i) for i in range(len(own))],
        texts=list(own.values()),
        metadata=[{"n": i, "g": i % 5} for i in range(len(own))],
    )


NOTES = {
    "a": "the pump reports E1279 when the valve is shut",
    "b": "the pump reports E1280 when the valve is open",
    "c": "shut the valve before the pump is opened",
    "d": "see parse_frame and E1281 for details",
    "e": None,
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        insert(db, NOTES)
        yield db


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mvdb.Database]:
    """600 documents in several segments with posting lists: both sides find a part of them."""
    path = tmp_path_factory.mktemp("hybrid") / "a.mvdb"
    rng = np.random.default_rng(3)
    with opened(path, SMALL, dim=DIM, background=False) as db:
        for first in range(0, 600, 200):
            numbers = range(first, first + 200)
            db.insert(
                list(numbers),
                [matrix(i) for i in numbers],
                texts=[" ".join(rng.choice(PROSE, 5)) + f" n{i}" for i in numbers],
                metadata=[{"g": i % 7} for i in numbers],
            )
        yield db


def names(hits: list[mvdb.Hit]) -> list[Any]:
    return [hit.id for hit in hits]


def test_identifiers_beside_prose(db: mvdb.Database) -> None:
    """Whatever the vectors say, the document with the number asked for comes first."""
    for name, code in (("a", "E1279"), ("b", "E1280"), ("d", "e1281"), ("d", "parse_frame")):
        for seed in range(20):
            assert db.search(matrix(seed), 1, text=f"why {code}?")[0].id == name


def test_both_scores_are_those_of_each_mode(many: mvdb.Database) -> None:
    text = "+apple fig n7 n301"
    for seed in range(4):
        query = matrix(1000 + seed)
        dense = {h.id: h.score for h in many.search(query, 600, exact=True)}
        lexical = {h.id: h.score for h in many.search(text=text, k=600)}
        hits = many.search(query, 20, text=text)
        assert len(hits) == 20
        for hit in hits:
            assert hit.dense_score == dense[hit.id]
            assert hit.lexical_score == pytest.approx(lexical[hit.id], rel=1e-6)
    assert db_scores(many.search(query, 3)) == [(True, False)] * 3
    assert db_scores(many.search(text="fig", k=3)) == [(False, True)] * 3


def db_scores(hits: list[mvdb.Hit]) -> list[tuple[bool, bool]]:
    return [(hit.dense_score is not None, hit.lexical_score is not None) for hit in hits]


def test_conditions_hold_for_what_the_vectors_find(db: mvdb.Database) -> None:
    for text, expected in (
        ("pump", "abcde"),
        ("+pump", "abc"),
        ("pump -shut", "bde"),
        ('"the valve is"', "ab"),
        ('pump -"the pump reports"', "cde"),
        ("zzz", "abcde"),
        ("+zzz pump", ""),
        ("pump n:2", "c"),
    ):
        assert set(names(db.search(matrix(5), text=text))) == set(expected), text


def test_an_excluded_phrase_leaves_room_for_others(tmp_path: Path) -> None:
    """More documents than each side gives have the phrase; k of the rest are found all the same."""
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, background=False) as db:
        one, other = matrix(1), -matrix(1)
        db.insert(range(300), [one] * 300, texts=["red blue"] * 300)
        db.insert(range(300, 320), [other] * 20, texts=["green"] * 20)
        hits = db.search(one, 12, text='sky -"red blue"')
        assert names(hits) == list(range(300, 312))


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
@pytest.mark.parametrize("text", ["apple fig", "apple -n3 n17", '"apple fig"', "-n3 +pear"])
def test_pages_neither_overlap_nor_lose(many: mvdb.Database, mode: str, text: str) -> None:
    query = {"query": matrix(4)} if mode == "hybrid" else {}
    pages: list[Any] = []
    with many.snapshot() as snapshot:
        for offset in range(0, 700, 70):
            pages += names(snapshot.search(**query, text=text, k=70, mode=mode, offset=offset))
        expected = names(snapshot.search(**query, text=text, k=600, mode=mode))
    assert len(set(pages)) == len(pages)
    if mode == "lexical":
        assert pages == expected
    assert set(pages) == set(expected)


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_groups(many: mvdb.Database, mode: str) -> None:
    query = {"query": matrix(4)} if mode == "hybrid" else {}
    options: dict[str, Any] = {**query, "text": "apple fig", "mode": mode, "group_by": "g"}
    hits = many.search(k=10, **options)
    assert sorted(hit.id % 7 for hit in hits) == list(range(7))
    pages = [one for n in range(4) for one in names(many.search(k=2, offset=2 * n, **options))]
    assert pages == names(hits)
    pairs = many.search(k=7, group_size=2, **options)
    assert sorted(hit.id % 7 for hit in pairs) == sorted([*range(7), *range(7)])
    assert set(names(hits)) <= set(names(pairs))


def test_threads_give_the_same(many: mvdb.Database) -> None:
    path = many.path
    asked = ["apple n4", "+pear fig", '"fig plum" apple', "n17", "plum -apple"] * 4
    with mvdb.open(path, readonly=True, encoder=FakeEncoder()) as db:
        assert db.profile(asked[0]).mode == "hybrid"
        alone = [db.search(one, 9) for one in asked]
        for threads in (1, 4):
            batch = db.search_batch(asked, 9, threads=threads)
            assert batch == alone
            assert [[(h.dense_score, h.lexical_score) for h in hits] for hits in batch] == [
                [(h.dense_score, h.lexical_score) for h in hits] for hits in alone
            ]


def test_filters_ids_deletions_and_own_writes(db: mvdb.Database) -> None:
    query, text = matrix(3), "pump E1279"
    assert set(names(db.search(query, text=text, filter={"n": {"$gte": 1}}))) == set("bcde")
    assert set(names(db.search(query, text=text, ids=["a", "e", "zz"]))) == set("ae")
    assert db.search(query, text=text, ids=[]) == []
    with db.snapshot() as snapshot, db.transaction() as txn:
        txn.delete("a")
        txn.upsert("f", matrix(50), texts="E1279 again")
        hits = txn.search(query, text=text)
        assert set(names(hits)) == set("bcdef")
        assert hits[0].id == "f"
        assert set(names(db.search(query, text=text))) == set("abcde")
    assert names(db.search(query, text=text))[0] == "f"
    with pytest.raises(mvdb.ClosedError):
        snapshot.search(query, text=text)


def test_reciprocal_ranks(db: mvdb.Database) -> None:
    hits = db.search(matrix(3), text="pump reports", fusion="rrf")
    dense = {hit.id: hit.dense_score for hit in hits}
    lexical = {hit.id: hit.lexical_score for hit in hits if hit.lexical_score}
    assert len(lexical) == 3
    for hit in hits:
        wanted = sum(
            1 / (61 + sum(other > side[hit.id] for other in side.values()))
            for side in (dense, lexical)
            if hit.id in side
        )
        assert hit.score == pytest.approx(wanted)


def test_weights_of_0_and_1_are_one_side_alone(db: mvdb.Database) -> None:
    query = matrix(3)
    only_dense = db.search(query, text="pump shut", lexical_weight=0)
    assert names(only_dense) == names(db.search(query))
    assert (only_dense[0].score, only_dense[-1].score) == (1, 0)
    only_words = db.search(query, text="pump shut", lexical_weight=1)
    found = names(db.search(text="pump shut"))
    assert names(only_words)[: len(found)] == found
    assert [hit.score for hit in only_words[len(found) :]] == [0, 0]
    assert db.profile(query, text="pump", lexical_weight=0.3).lexical_weight == 0.3
    assert len(db.search(query, text="pump shut", min_score=0.5)) == sum(
        hit.score >= 0.5 for hit in db.search(query, text="pump shut")
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"query": matrix(1), "mode": "hybrid"}, "^text: "),
        ({"text": "pump", "mode": "hybrid"}, "^query: "),
        ({"query": "pump", "mode": "hybrid"}, "encoder"),
        ({"mode": "hybrid"}, "^query: "),
        ({"query": matrix(1), "text": "pump", "fusion": "sum"}, "^fusion: "),
        ({"query": matrix(1), "text": "pump", "mode": "both"}, "^mode: "),
        ({"query": matrix(1), "text": "pump", "lexical_weight": 1.1}, "^lexical_weight: "),
        ({"query": matrix(1), "text": "pump", "lexical_weight": float("nan")}, "^lexical_weight: "),
        ({"query": matrix(1), "text": b"pump"}, "^text: "),
    ],
)
def test_bad_input(db: mvdb.Database, arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=fault):
        db.search(**arguments)


def test_a_file_without_words_has_no_hybrid_search(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, encoder=FakeEncoder(), lexical=False) as db:
        db.insert(["a"], texts=["pump"])
        assert db.profile("pump").mode == "dense"
        for query, text in ((matrix(1), "pump"), ("pump", None)):
            with pytest.raises(mvdb.InvalidInputError, match=r"optimize\(lexical=True\)"):
                db.search(query, text=text, mode="hybrid")


def test_odd_texts_are_answered(db: mvdb.Database) -> None:
    for text in ("", "  ", '"', "+", "-", "\ud800"):
        assert names(db.search(matrix(3), text=text)) == names(db.search(matrix(3))), text
    assert db.search(matrix(3), 1, text="E1279 " * 180_000)[0].id == "a"
    assert len(db.search(matrix(3), text="x" * (1 << 20))) == 5
    with pytest.raises(mvdb.QueryError):
        db.search(matrix(3), text='"pump', strict=True)


def test_what_each_word_adds(db: mvdb.Database, tmp_path: Path) -> None:
    notes = {name: text and text.lower().replace("e12", "12") for name, text in NOTES.items()}
    notes["d"] = "see the manual"  # an identifier's parts would count in its length
    insert(db, notes)
    db.optimize()
    model = WordModel(notes)
    query, text = matrix(3), 'pump 1279 zzz "the valve is"'
    explanation = db.explain(query, "a", text=text)
    expected = {
        "pump": model.scores(Words(plain=("pump",)))["a"],
        "1279": model.scores(Words(plain=("1279",)))["a"],
        '"the valve is"': model.scores(Words(phrases=(("the", "valve", "is"),)))["a"],
    }
    assert explanation.words is not None
    assert explanation.words == pytest.approx(expected, rel=1e-4)
    (hit,) = db.search(query, text=text, ids="a")
    assert sum(explanation.words.values()) == pytest.approx(hit.lexical_score, rel=1e-5)
    assert explanation.score == hit.dense_score
    assert db.explain(query, "e", text=text).words == {}
    assert db.explain(query, "a").words is None
    with pytest.raises(mvdb.InvalidInputError, match=r"^text: "):
        db.explain(query, "a", text=5)  # type: ignore[arg-type]
    with mvdb.open(tmp_path / "b.mvdb", encoder=FakeEncoder(), lexical=False) as plain:
        plain.insert(["a"], texts=["pump"])
        assert plain.explain("pump", "a").words is None
        with pytest.raises(mvdb.InvalidInputError, match="lexical index"):
            plain.explain("pump", "a", text="pump")
