"""Measures against their definitions in plain Python."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb import evaluation
from mvdb.errors import InvalidInputError

QRELS = {"q1": {"a": 1, "b": 2}}
RUN = {"q1": {"a": 2.0, "c": 1.5, "b": 1.0}}


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(ImportError, match=r"mvdb-engine\[eval\]"):
        evaluation.measure(RUN, QRELS, ["AP"])


def test_measures_of_few_documents() -> None:
    assert evaluation.default_measures(1000)[-1] == "R@1000"
    for k in (1, 5, 10, 99, 100):
        names = evaluation.default_measures(k)
        assert names
        assert all(int(name.partition("@")[2]) <= k for name in names)


needs_library = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('ir_measures')",
    reason="ir_measures is not installed",
)


def ranking(found: dict[str, float]) -> list[str]:
    return sorted(found, key=lambda name: -found[name])


def recall(names: list[str], grades: dict[str, int], k: int) -> float:
    relevant = {name for name, grade in grades.items() if grade > 0}
    return len(relevant & set(names[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(names: list[str], grades: dict[str, int], k: int) -> float:
    hits = [rank for rank, name in enumerate(names[:k], 1) if grades.get(name, 0) > 0]
    return 1 / hits[0] if hits else 0.0


def ndcg(names: list[str], grades: dict[str, int], k: int) -> float:
    def gain(sequence: list[int]) -> float:
        return sum(grade / math.log2(rank + 2) for rank, grade in enumerate(sequence[:k]))

    best = gain(sorted((max(grade, 0) for grade in grades.values()), reverse=True))
    return gain([max(grades.get(name, 0), 0) for name in names]) / best if best else 0.0


@st.composite
def judged_runs(draw: st.DrawFn) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Scores are distinct: trec_eval breaks ties in an order of its own."""
    names = [f"d{number}" for number in range(12)]
    run, qrels = {}, {}
    for query in ("q1", "q2", "q3"):
        qrels[query] = draw(st.dictionaries(st.sampled_from(names), st.integers(0, 3), min_size=1))
        found = draw(st.permutations(names))[: draw(st.integers(0, 12))]
        run[query] = {name: 10.0 - place for place, name in enumerate(found)}
    run["not judged"] = {"d1": 1.0}
    if draw(st.booleans()):
        del run["q2"]
    return run, qrels


@needs_library
@given(judged_runs())
def test_measures_are_those_of_the_textbook(
    case: tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]],
) -> None:
    run, qrels = case
    if not any(query in qrels for query in run):
        return
    evaluated = evaluation.measure(run, qrels, ["R@5", "RR@10", "nDCG@10"])
    for name, reference, k in (
        ("R@5", recall, 5),
        ("RR@10", reciprocal_rank, 10),
        ("nDCG@10", ndcg, 10),
    ):
        expected = {q: reference(ranking(run.get(q, {})), qrels[q], k) for q in qrels}
        assert evaluated.by_query[name] == pytest.approx(expected, abs=1e-6)
        assert evaluated.means[name] == pytest.approx(sum(expected.values()) / len(qrels), abs=1e-6)


@needs_library
@pytest.mark.parametrize(
    ("measures", "message"),
    [
        (["nope"], "'nope' is no measure"),
        (["nDCG@"], "'nDCG@' is no measure"),
        (["__import__('os')"], "is no measure"),
        (["nDCG@ten"], "is no measure"),
        (["R(colour=3)@10"], "is no measure"),
        (["nDCG@1000"], "nDCG@1000 looks at 1000 documents, k is 10"),
        ([], "no measure is named"),
    ],
)
def test_no_such_measure(measures: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        evaluation.measure(RUN, QRELS, measures, k=10)


@needs_library
def test_nothing_to_measure() -> None:
    with pytest.raises(InvalidInputError, match="none of its queries is judged"):
        evaluation.measure({"other": {"a": 1.0}}, QRELS, ["AP"])
    with pytest.raises(InvalidInputError, match="qrels"):
        evaluation.measure(RUN, {}, ["AP"])
    assert evaluation.measure({"q1": {}}, QRELS, ["AP"]).means == {"AP": 0.0}
