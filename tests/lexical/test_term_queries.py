"""Scores of term indexes against plain numpy: the best rows, given rows, rows with all terms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mvdb import core
from mvdb.lexical.bm25 import Parameters, weight_query, word_query
from mvdb.lexical.term_index import TermIndex, TermIndexWriter
from tests.lexical.term_model import Model, Words, draw_documents, finish, index_of, word

LEAST_WEIGHT = 2.0**-16 * 129 / 128
"""The least weight of an index, docs/format.md."""


def check_best(
    query: core.TermQuery,
    indexes: Sequence[TermIndex],
    scores: NDArray[np.float64],
    masks: Sequence[NDArray[np.bool_]] | None,
    k: int,
) -> None:
    """The best k are those of `scores` (of all rows in order), ties aside, with their scores."""
    views = core.TermList([index.view for index in indexes])
    places, found = query.best(views, core.Bitmaps(masks or [None] * len(indexes)), k)
    starts = np.cumsum([0, *(index.n_rows for index in indexes)])
    rows = starts[places["segment"]] + places["document"]
    allowed = np.concatenate(masks) if masks else np.ones(len(scores), bool)
    assert allowed[rows].all()
    expected = np.sort(np.where(allowed, scores, 0))[::-1][:k]
    expected = expected[expected > 0]
    assert len(set(rows.tolist())) == len(rows)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found == pytest.approx(scores[rows], rel=1e-5)
    order = sorted(range(len(rows)), key=lambda i: (-found[i], rows[i]))
    assert order == list(range(len(rows))), "best first, ties by place"
    assert query.score(views, places).tolist() == found.tolist()


@given(st.data())
def test_words(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """BM25 over several segments, with masks and parameters, for any k."""
    folder = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30), "seed"))
    sizes = data.draw(
        st.lists(st.sampled_from([1, 50, 400, 2200]), min_size=1, max_size=3), "sizes"
    )
    segments = [draw_documents(rng, n, 300, 25) for n in sizes]
    indexes = [index_of(folder, documents) for documents in segments]
    model = Model([words for documents in segments for words in documents])
    masks = None
    if data.draw(st.booleans(), "masked"):
        masks = [rng.random(n) < 0.3 for n in sizes]
    k1 = data.draw(st.sampled_from([1.2, 0.0, 0.4, 3.0]), "k1")
    b = data.draw(st.sampled_from([0.75, 0.0, 1.0]), "b")
    for _ in range(4):
        words = list({word(int(one)) for one in rng.zipf(1.3, int(rng.integers(1, 8)))})
        scores = model.scores(words, k1, b)
        query = word_query(indexes, {one.encode(): 1.0 for one in words}, Parameters(k1, b))
        check_best(query, indexes, scores, masks, int(rng.integers(1, 30)))
        check_best(query, indexes, scores, masks, len(scores) + 1)


def test_given_rows_in_any_order(tmp_path: Path) -> None:
    """Rows may repeat, and a row without the words has score 0."""
    rng = np.random.default_rng(1)
    segments = [draw_documents(rng, n, 200, 20) for n in (900, 300)]
    indexes = [index_of(tmp_path, documents) for documents in segments]
    model = Model([*segments[0], *segments[1]])
    query = word_query(indexes, {b"wa": 1.0, b"wh": 1.0, b"none": 1.0})
    rows = rng.integers(0, 1200, 500)
    places = np.zeros(500, core.PLACE)
    places["segment"] = rows >= 900
    places["document"] = np.where(rows >= 900, rows - 900, rows)
    found = query.score(core.TermList([index.view for index in indexes]), places)
    assert found == pytest.approx(model.scores(["wa", "wh"])[rows], rel=1e-5)
    assert (found == 0).any()


def test_boosts_are_factors(tmp_path: Path) -> None:
    documents = draw_documents(np.random.default_rng(2), 300, 50, 20)
    index = index_of(tmp_path, documents)
    model = Model(documents)
    query = word_query([index], {b"wb": 0.25, b"wd": 4.0})
    check_best(query, [index], 0.25 * model.scores(["wb"]) + 4 * model.scores(["wd"]), None, 20)


@given(st.integers(0, 1 << 30))
def test_rows_with_all_terms(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    documents = draw_documents(rng, int(rng.integers(1, 2000)), 40, 30)
    index = index_of(tmp_path_factory.mktemp("all"), documents)
    model = Model(documents)
    for n in range(4):
        words = [word(int(one)) for one in rng.choice(41, n, replace=False)]
        expected = [all(counts[one] for one in words) for counts in model.counts]
        found = index.containing(core.TermNames([one.encode() for one in words]))
        assert found.tolist() == expected


# ---- weights ----


def draw_weights(rng: np.random.Generator, n: int, n_terms: int) -> list[dict[bytes, float]]:
    rows = []
    for _ in range(n):
        terms = rng.choice(n_terms, int(rng.integers(0, min(40, n_terms))), replace=False)
        weights = np.exp(rng.normal(0, 1.5, len(terms)))
        rows.append({b"t%d" % t: float(w) for t, w in zip(terms, weights, strict=True)})
    return rows


def weights_of(folder: Path, rows: list[dict[bytes, float]], memory: int) -> TermIndex:
    writer = TermIndexWriter(str(folder), memory, weights=True)
    for row in rows:
        writer.add_weights(list(row), np.array(list(row.values()), np.float32))
    return finish(writer)


@pytest.mark.parametrize("memory", [1, 1 << 24])
def test_weights_are_inner_products(tmp_path: Path, memory: int) -> None:
    """Of stored weights, within 1/256 of the weights given; merging does not change them."""
    rng = np.random.default_rng(3)
    rows = draw_weights(rng, 1500, 200)
    index = weights_of(tmp_path, rows[:1000], memory)
    writer = TermIndexWriter(str(tmp_path), memory, weights=True)
    writer.add_rows(index, np.arange(0, 1000, 2, dtype=np.uint32))
    for row in rows[1000:]:
        writer.add_weights(list(row), np.array(list(row.values()), np.float32))
    merged = finish(writer)
    kept = rows[:1000:2] + rows[1000:]
    for indexes, expected in (([index], rows[:1000]), ([merged], kept)):
        for terms in ([b"t0"], [b"t1", b"t2", b"t3"], [b"t%d" % t for t in range(60)]):
            wanted = {term: float(rng.random()) + 0.01 for term in terms}
            exact = np.array(
                [sum(wanted[term] * row.get(term, 0) for term in terms) for row in expected]
            )
            stored = np.array(
                [
                    sum(wanted[t] * core.stored_weight(row[t]) for t in terms if t in row)
                    for row in expected
                ]
            )
            assert stored == pytest.approx(exact, rel=1 / 256)
            check_best(weight_query(indexes, wanted), indexes, stored, None, 12)


@given(st.floats(LEAST_WEIGHT, core.GREATEST_WEIGHT, width=32))
def test_stored_weights_are_near(weight: float) -> None:
    assert core.stored_weight(weight) == pytest.approx(weight, rel=1 / 256)
    assert core.stored_weight(core.stored_weight(weight)) == core.stored_weight(weight)


@pytest.mark.parametrize("weight", [1e-38, 2.0**-17, 2.0**-16, 0.999 * LEAST_WEIGHT, LEAST_WEIGHT])
def test_weights_below_the_least_are_stored_as_it(weight: float) -> None:
    assert core.stored_weight(weight) == LEAST_WEIGHT


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_weights_out_of_range_are_refused(weight: float) -> None:
    """And the row leaves no trace."""
    builder = core.TermBuilder(weights=True)
    with pytest.raises(ValueError):
        builder.add_weights([b"a", b"b"], np.array([1, weight], np.float32))
    with pytest.raises(ValueError):
        builder.add_weights([b"a", b"a"], np.ones(2, np.float32))
    builder.add_weights([b"c"], np.ones(1, np.float32))
    assert builder.n_rows == 1
    assert [head for blocks in builder.run(1) for head in blocks.heads] == [b"c"]


def test_terms_of_wrong_size_are_refused() -> None:
    for term in (b"", b"x" * (core.MAX_TERM + 1)):
        with pytest.raises(ValueError):
            core.TermNames([b"fine", term])


def test_no_words_find_nothing(tmp_path: Path) -> None:
    documents: list[Words] = [["a"], ["b"]]
    index = index_of(tmp_path, documents)
    views = core.TermList([index.view])
    for query in (word_query([index], {}), word_query([index], {b"c": 1.0})):
        assert len(query.best(views, core.Bitmaps([None]), 5)[0]) == 0
        assert query.score(views, np.zeros(2, core.PLACE)).tolist() == [0, 0]
    assert len(word_query([index], {b"a": 1.0}).best(views, core.Bitmaps([None]), 0)[0]) == 0
    nothing = core.TermList([])
    assert len(word_query([], {b"a": 1.0}).best(nothing, core.Bitmaps([]), 5)[0]) == 0
