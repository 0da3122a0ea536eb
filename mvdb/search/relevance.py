"""Does a hit answer the query, or is it merely the least bad? A relevance in 0..1, calibrated.

Pure functions.

1. The *score per token* of a hit is its MaxSim divided by the query's tokens, at most 1. Its scale
   depends on the encoder and on how alike the documents are.
2. The *level* of a collection is the score per token that an answer has there. It is measured
   without judgements: runs of stored tokens of random documents are asked as *pseudo-queries*, and
   the best score of any other document is noted (`pseudo_query`, `level`).
3. The relevance is a logistic function of score per token over level: .5 at `BOUNDARY` of the
   level, .9 at the level (`relevance`).
4. In a hybrid search a document that has the exact evidence of the query is relevant whatever its
   vectors say (`with_exact_evidence`).

Measurements: docs/engine.md, "Relevance".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PSEUDO_QUERIES = 64
"""Pseudo-queries that a level is measured with. Its standard error is then .007 to .017."""
PSEUDO_TOKENS = 16
"""Tokens of a pseudo-query: about those of a question."""
GREATEST_LEVEL = 0.75
"""Bound of a level. In a collection of near-duplicates, passages are nearer to each other than
questions are to answers: without the bound nothing would be relevant there."""
BOUNDARY = 0.84
"""Share of the level at which the relevance is .5."""
_STEEPNESS = math.log(9) / (1 - BOUNDARY)

Scores = NDArray[np.floating]


def pseudo_query(
    vectors: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """A run of at most `PSEUDO_TOKENS` of a document's token vectors (n, dim), from a random place
    on."""
    length = min(len(vectors), PSEUDO_TOKENS)
    first = int(generator.integers(0, len(vectors) - length + 1))
    return vectors[first : first + length]


def level(per_token: Scores) -> float | None:
    """The level of a collection.

    Args:
        per_token: (pseudo-queries,), for each the greatest score per token of a document that is
            not its own.

    Returns:
        Their median, at most `GREATEST_LEVEL`; None without a positive one: the collection has too
        few documents.
    """
    if len(per_token) == 0:
        return None
    median = float(np.median(per_token))
    return min(median, GREATEST_LEVEL) if median > 0 else None


def relevance(scores: Iterable[float], n_tokens: int, level: float) -> list[float]:
    """Relevance of documents, 0..1, by their MaxSim with a query of `n_tokens` tokens.

    It rises with the score, and is .5 at `BOUNDARY` of the level and .9 at the level.
    """
    half = 0.5 * _STEEPNESS
    slope, boundary = half / (n_tokens * level), half * BOUNDARY
    # The logistic function of x is (1 + tanh(x / 2)) / 2, which does not overflow.
    return [0.5 + 0.5 * math.tanh(slope * score - boundary) for score in scores]


def least_score(least_relevance: float, n_tokens: int, level: float) -> float:
    """The score from which a document has at least this relevance, 0..1, by its vectors."""
    if least_relevance <= 0.0:
        return -math.inf
    if least_relevance >= 1.0:
        return math.inf
    share = BOUNDARY + math.log(least_relevance / (1.0 - least_relevance)) / _STEEPNESS
    return share * n_tokens * level


def with_exact_evidence(relevances: Scores, exact: Scores, lexical: Scores) -> Scores:
    """Relevance in a hybrid search: at least a document's share of the query's exact evidence.

    The share is that of `fusion.lexical_weight`, of each document: its lexical score from exact
    terms (`exact`) over the greatest lexical score of the union (`lexical`). An encoder hardly
    tells E1279 from E1278, so the score per token of a document with the number may be low.
    """
    best = float(lexical.max(initial=0.0))
    if best <= 0.0:
        return relevances
    return np.maximum(relevances, np.clip(exact.astype(np.float64) / best, 0.0, 1.0))
