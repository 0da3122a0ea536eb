"""BM25 over the term indexes of all segments, in Lucene's variant: of N rows with an average of
`average` tokens, the score of a row is the sum over the query's terms of

    idf * tf / (tf + k1 * (1 - b + b * length / average))
    idf = ln(1 + (N - df + 0.5) / (df + 0.5))

with tf the occurrences of a term in the row and df the rows that have it (Robertson and Zaragoza,
"The Probabilistic Relevance Framework", 2009; Kamphuis and others, "Which BM25 do you mean?", ECIR
2020). N, df and average count deleted documents until they are merged away, and no
documents without words: so they are the same however documents are divided into segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.lexical.term_index import TermIndex


@dataclass(frozen=True)
class Parameters:
    """k1: how soon repeated occurrences saturate. b: how far length counts, 0..1."""

    k1: float = 1.2
    b: float = 0.75


@dataclass(frozen=True)
class Statistics:
    """Of all rows that have words: how many there are, and their average number of tokens."""

    n_rows: int
    average: float

    @classmethod
    def of(cls, indexes: Sequence[TermIndex]) -> Statistics:
        """Those of some term indexes of words."""
        n_rows = sum(index.n_filled for index in indexes)
        n_tokens = sum(index.n_tokens for index in indexes)
        return cls(n_rows, n_tokens / n_rows if n_rows else 1.0)


def inverse_frequencies(n_rows: int, frequencies: NDArray[np.integer]) -> NDArray[np.float64]:
    """idf of terms with these numbers of rows, of n_rows in all."""
    counts = frequencies.astype(np.float64)
    return np.log1p((n_rows - counts + 0.5) / (counts + 0.5))


def word_query(
    indexes: Sequence[TermIndex],
    boosts: Mapping[bytes, float],
    parameters: Parameters = Parameters(),
) -> core.TermQuery:
    """A query of words, each with a factor above 0 of its score; `indexes` are all of the state."""
    names = core.TermNames(list(boosts))
    frequencies = np.zeros(names.n, np.int64)
    for index in indexes:
        frequencies += index.frequencies(names)
    statistics = Statistics.of(indexes)
    idf = inverse_frequencies(statistics.n_rows, frequencies)
    weights = (idf * np.fromiter(boosts.values(), np.float64, names.n)).astype(np.float32)
    k1, b = parameters.k1, parameters.b
    return core.TermQuery(names, weights, k1=k1, b=b, average=statistics.average)


def weight_query(indexes: Sequence[TermIndex], weights: Mapping[bytes, float]) -> core.TermQuery:
    """A query of learned weights, all above 0: the score is the inner product."""
    names = core.TermNames(list(weights))
    for index in indexes:
        index.open(names)
    values = np.fromiter(weights.values(), np.float32, names.n)
    return core.TermQuery(names, values, k1=0.0, b=0.0, average=1.0)
