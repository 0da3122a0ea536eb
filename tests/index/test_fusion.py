"""How a hybrid search joins MaxSim and BM25: what a user may rely on, whatever the constants."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mvdb.search import fusion

SCORE = st.floats(0, 1000, width=32)
UNION = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*(st.lists(SCORE, min_size=n, max_size=n) for _ in range(3)))
)


def array(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def scaled(values: list[float]) -> list[float]:
    """Minimum to 0, maximum to 1, in plain Python."""
    least, greatest = min(values), max(values)
    if least == greatest:
        return [float(greatest > 0)] * len(values)
    return [(value - least) / (greatest - least) for value in values]


def to_float32(values: list[float]) -> list[float]:
    return [float(np.float32(value)) for value in values]


@given(UNION, st.floats(0, 1))
def test_relative_is_the_weighted_sum_of_scaled_sides(
    union: tuple[list[float], ...], weight: float
) -> None:
    dense, lexical = to_float32(union[0]), to_float32(union[1])
    wanted = [
        (1 - weight) * d + weight * w for d, w in zip(scaled(dense), scaled(lexical), strict=True)
    ]
    got = fusion.relative(array(*dense), array(*lexical), weight)
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    assert got.min() >= 0
    assert got.max() <= 1 + 1e-9


@given(UNION)
def test_reciprocal_adds_reciprocal_ranks(union: tuple[list[float], ...]) -> None:
    dense, lexical = to_float32(union[0]), to_float32(union[1])
    wanted = []
    for d, w in zip(dense, lexical, strict=True):
        score = 1 / (60 + 1 + sum(other > d for other in dense))
        if w > 0:
            score += 1 / (60 + 1 + sum(other > w for other in lexical))
        wanted.append(score)
    np.testing.assert_allclose(fusion.reciprocal(array(*dense), array(*lexical)), wanted)


@given(UNION)
def test_the_weight_is_between_both_bounds(union: tuple[list[float], ...]) -> None:
    exact = array(*union[0])
    weight = fusion.lexical_weight(exact, exact + array(*union[1]))
    assert weight == 0 or fusion.ORDINARY_WEIGHT <= weight <= fusion.EXACT_WEIGHT


def test_the_weight_grows_with_the_exact_evidence_that_a_document_has() -> None:
    lexical = array(0, 4, 10)
    weights = [fusion.lexical_weight(array(0, 0, exact), lexical) for exact in (0, 2, 5, 10)]
    assert weights == sorted(set(weights))
    assert weights[0] == fusion.ORDINARY_WEIGHT
    assert weights[-1] == fusion.EXACT_WEIGHT


def test_words_that_no_document_has_weigh_nothing() -> None:
    none = array(0, 0, 0)
    assert fusion.lexical_weight(none, none) == 0
    assert fusion.relative(array(3, 1, 2), none, 0.0).tolist() == [1, 0, 0.5]


def test_the_one_document_with_the_number_wins_against_the_best_of_vectors() -> None:
    """A bare number: MaxSim takes all neighbours for the same, and the wrong one for the best."""
    dense, lexical = array(9.8, 9.9, 9.4), array(0, 0, 16)
    weight = fusion.lexical_weight(lexical, lexical)
    assert fusion.relative(dense, lexical, weight).argmax() == 2


def test_ordinary_words_alone_support_but_do_not_decide() -> None:
    dense, lexical = array(9, 5, 1), array(0, 8, 9)
    weight = fusion.lexical_weight(array(0, 0, 0), lexical)
    assert fusion.relative(dense, lexical, weight).argmax() == 0


def test_equal_sides_and_empty_unions_are_defined() -> None:
    assert fusion.relative(array(5), array(2), 0.4).tolist() == [1.0]
    assert fusion.relative(array(5), array(0), 0.4).tolist() == [0.6]
    empty = array()
    assert fusion.lexical_weight(empty, empty) == 0
    assert len(fusion.relative(empty, empty, 0.3)) == 0
    assert len(fusion.reciprocal(empty, empty)) == 0


def test_factors_of_exact_and_implied_terms() -> None:
    exact = np.array([True, False, False, True])
    implied = np.array([False, True, False, True])
    factors = fusion.term_factors(exact, implied)
    assert factors.tolist() == [fusion.EXACT_FACTOR, 0, 1, fusion.EXACT_FACTOR]
    assert factors.dtype == np.float32
