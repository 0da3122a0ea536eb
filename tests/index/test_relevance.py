"""What a relevance promises: an order, two fixed points, and numbers that are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.search import relevance
from tests.support.model import unit


@given(
    st.lists(st.floats(-512, 512, width=32), min_size=1, max_size=30),
    st.integers(1, 512),
    st.floats(0.01, 0.75),
)
def test_relevance_is_a_share_that_rises_with_the_score(
    scores: list[float], n_tokens: int, level: float
) -> None:
    ordered = np.sort(np.array(scores, np.float32))
    got = np.array(relevance.relevance(ordered.tolist(), n_tokens, level))
    assert ((got >= 0) & (got <= 1)).all()
    assert (np.diff(got) >= 0).all()


@pytest.mark.parametrize("n_tokens", [1, 32, 400])
def test_an_answer_at_the_level_is_relevant_and_the_boundary_is_even(n_tokens: int) -> None:
    level = 0.7
    scores = np.array([1.0, relevance.BOUNDARY, 0.0]) * level * n_tokens
    got = relevance.relevance(scores.tolist(), n_tokens, level)
    np.testing.assert_allclose(got[:2], [0.9, 0.5], atol=1e-6)
    assert got[2] < 0.001


def test_pseudo_queries_are_runs_of_a_document() -> None:
    generator = np.random.default_rng(5)
    document = np.arange(100.0)[:, None].repeat(4, axis=1)
    firsts = set()
    for _ in range(300):
        query = relevance.pseudo_query(document, generator)
        assert len(query) == relevance.PSEUDO_TOKENS
        assert (np.diff(query[:, 0]) == 1).all()
        firsts.add(int(query[0, 0]))
    assert {0, 100 - relevance.PSEUDO_TOKENS} <= firsts
    short = document[:3]
    assert (relevance.pseudo_query(short, generator) == short).all()


def test_a_level_is_a_median_within_bounds() -> None:
    assert relevance.level(np.array([0.5, 0.6, 0.1])) == 0.5
    assert relevance.level(np.array([0.99, 0.98, 1.0])) == relevance.GREATEST_LEVEL
    assert relevance.level(np.array([])) is None
    assert relevance.level(np.array([-0.2, 0.0])) is None


def test_a_document_with_the_number_is_relevant_whatever_its_vectors_say() -> None:
    by_vectors = np.array([0.7, 0.2, 0.1])
    exact, lexical = np.array([0.0, 9.0, 0.0]), np.array([3.0, 10.0, 2.0])
    got = relevance.with_exact_evidence(by_vectors, exact, lexical)
    np.testing.assert_allclose(got, [0.7, 0.9, 0.1])
    none = np.zeros(3)
    assert relevance.with_exact_evidence(by_vectors, none, none) is by_vectors
    assert relevance.with_exact_evidence(by_vectors, none, lexical).tolist() == by_vectors.tolist()


def test_answers_are_told_from_strangers_in_a_made_collection() -> None:
    """Documents of 8 topics; queries are noisy tokens of a document, or of topics that no document
    has. The level comes from pseudo-queries alone, and a relevance of .5 parts both."""
    rng = np.random.default_rng(11)

    def tokens(topics: np.ndarray, n: int, noise: float) -> np.ndarray:
        return unit(topics[rng.integers(0, len(topics), n)] + noise * rng.standard_normal((n, 64)))

    topics = unit(rng.standard_normal((8, 12, 64)))
    documents = [tokens(topics[i % 8], 40, 0.08) for i in range(80)]

    def best(query: np.ndarray, without: int = -1) -> float:
        scores = [
            float((query @ document.T).max(axis=1).sum())
            for i, document in enumerate(documents)
            if i != without
        ]
        return max(scores)

    noted = []
    for i in rng.choice(80, 32, replace=False).tolist():
        query = relevance.pseudo_query(documents[i], rng)
        noted.append(best(query, i) / len(query))
    level = relevance.level(np.array(noted))
    assert level is not None

    def of(query: np.ndarray) -> float:
        return float(relevance.relevance([best(query)], len(query), level)[0])

    answerable = [of(tokens(topics[i % 8], 10, 0.08)) for i in range(20)]
    strangers = [of(tokens(unit(rng.standard_normal((12, 64))), 10, 0.08)) for _ in range(20)]
    assert min(answerable) > 0.5 > max(strangers)
