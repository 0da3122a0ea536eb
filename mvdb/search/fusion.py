"""One ranking of both sides: MaxSim of the token vectors (dense) and BM25 of the words (lexical).

Pure functions over arrays. In a hybrid search:

1. The query's terms get factors (`term_factors`): identifiers, numbers and phrases are *exact*
   evidence and count `EXACT_FACTOR` times. The lexical side of this page is BM25 with each term's
   contribution times its factor; it finds the lexical candidates too.
2. The union of the best documents of each side is scored completely by both sides.
3. `lexical_weight` chooses the weight of the lexical side for this query, from the share of exact
   evidence in the best lexical score.
4. `relative` scales both sides to 0..1 over the union and adds them; or `reciprocal` adds
   reciprocal ranks.

The rule and its measurements: docs/engine.md, "Hybrid search".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
"""(documents,) finite scores of one side, over the union."""

ORDINARY_WEIGHT = 0.25
"""Lexical weight of a query without exact evidence."""
EXACT_WEIGHT = 0.7
"""Lexical weight of a query of nothing but exact evidence."""
EXACT_FACTOR = 3.0
"""How often an exact term counts in the lexical score."""
RANK_CONSTANT = 60
"""Of reciprocal rank fusion, as in Cormack, Clarke and Büttcher, SIGIR 2009."""


def term_factors(
    exact: NDArray[np.bool_], implied: NDArray[np.bool_], factor: float = EXACT_FACTOR
) -> NDArray[np.float32]:
    """Factor of each term's contribution to BM25 in a hybrid search.

    Args:
        exact: (terms,), whether a term is exact evidence: a whole identifier or number, or a word
            of a quoted phrase. Compounds of prose ("low-density", "don't") are ordinary words.
        implied: (terms,), whether a term is a part of an exact identifier that some document has
            whole. Such a part says nothing that the whole does not say, and is dropped.

    Returns:
        (terms,) float32: `factor` for exact terms, 0 for implied ones that are not exact
        themselves, 1 for the others.
    """
    ordinary = np.where(implied, 0.0, 1.0)
    return np.where(exact, factor, ordinary).astype(np.float32)


def lexical_weight(exact: Scores, lexical: Scores) -> float:
    """The weight of the lexical side that a query's evidence deserves, 0..1.

    Args:
        exact: the part of `lexical` that comes from exact terms.
        lexical: BM25 with the factors of `term_factors`, of the whole query.

    The share of exact evidence is the greatest of `exact` over the greatest of `lexical`: evidence
    counts if a document of the union has it. The weight goes with the share from `ORDINARY_WEIGHT`
    to `EXACT_WEIGHT`; 0 if no document of the union has a term of the query.
    """
    best = float(lexical.max(initial=0.0))
    if best <= 0.0:
        return 0.0
    share = min(1.0, float(exact.max(initial=0.0)) / best)
    return ORDINARY_WEIGHT + (EXACT_WEIGHT - ORDINARY_WEIGHT) * share


@dataclass(frozen=True)
class Scale:
    """Least and greatest score of one side over a union: they become 0 and 1."""

    least: float
    greatest: float

    @classmethod
    def of(cls, scores: Scores) -> Scale:
        """The scale of a union; of an empty one anything."""
        if len(scores) == 0:
            return cls(0.0, 0.0)
        return cls(float(scores.min()), float(scores.max()))

    @property
    def slope(self) -> float:
        """Change of a scaled score by that of a score."""
        return 0.0 if self.greatest == self.least else 1.0 / (self.greatest - self.least)

    def scaled(self, scores: Scores) -> NDArray[np.float64]:
        """Scores on this scale. If all of the union are equal, positive ones become 1, others 0."""
        values = scores.astype(np.float64)
        if self.greatest == self.least:
            return np.asarray(np.where(values > 0, 1.0, 0.0))
        return np.asarray((values - self.least) / (self.greatest - self.least))


def relative(
    dense: Scores, lexical: Scores, weight: float, scales: tuple[Scale, Scale] | None = None
) -> NDArray[np.float64]:
    """(1 - weight) * dense + weight * lexical, each side on its scale; None: of these scores."""
    of_dense, of_lexical = scales or (Scale.of(dense), Scale.of(lexical))
    return (1.0 - weight) * of_dense.scaled(dense) + weight * of_lexical.scaled(lexical)


def reciprocal(dense: Scores, lexical: Scores) -> NDArray[np.float64]:
    """Reciprocal rank fusion: the sum over both sides of 1 / (60 + rank), with ranks from 1.

    Equal scores have the same, best rank. Documents without a term of the query (lexical score 0)
    get nothing from the lexical side.
    """
    by_words = np.where(lexical > 0, 1.0 / (RANK_CONSTANT + _ranks(lexical)), 0.0)
    return 1.0 / (RANK_CONSTANT + _ranks(dense)) + by_words


def _ranks(scores: Scores) -> NDArray[np.int64]:
    """Ranks from 1 by descending score."""
    ascending = np.sort(scores)
    return 1 + len(scores) - np.searchsorted(ascending, scores, side="right")
