"""Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

1. A pool of the best documents is taken from a ranking, then the next pool.
2. The relevance of a document is its score, scaled to 0..1 from the least to the greatest score of
   the pool. The similarity of two documents is the cosine of their vectors, each the mean of the
   document's token vectors.
3. The next document is the one with the greatest (1 - diversity) * relevance - diversity * the
   greatest similarity to a document given earlier from the pool; of equal ones the one that ranks
   first. The first document has no similarity to count.

A pool does not depend on the page that is asked for, so that pages fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from mvdb import core
from mvdb.search.found import Found
from mvdb.state.state import DocumentRow

POOL_PER_HIT = 4
MIN_POOL = 50
"""Documents of a pool: the greater of MIN_POOL and POOL_PER_HIT * k."""

Mean = Callable[[DocumentRow], core.Floats]
"""The mean of a document's token vectors, float32 (dim,)."""


def diversified(ranking: Iterator[Found], k: int, diversity: float, mean: Mean) -> Iterator[Found]:
    """The documents of a ranking in the order of their selection."""
    size = max(MIN_POOL, POOL_PER_HIT * k)
    while pool := list(islice(ranking, size)):
        yield from _selected(pool, diversity, mean)


def _selected(pool: list[Found], diversity: float, mean: Mean) -> Iterator[Found]:
    scores = np.array([one.score for one in pool], np.float64)
    span = scores.max() - scores.min()
    relevance = (scores - scores.min()) / span if span > 0 else np.ones(len(pool))
    vectors = np.stack([_unit(mean(one.document)) for one in pool])
    gains = (1 - diversity) * relevance
    similarity = np.full(len(pool), -np.inf)  # to the nearest selected document
    left = np.ones(len(pool), np.bool_)
    for number in range(len(pool)):
        values = gains - diversity * similarity if number else gains
        chosen = int(np.argmax(np.where(left, values, -np.inf)))
        left[chosen] = False
        yield pool[chosen]
        np.maximum(similarity, vectors @ vectors[chosen], out=similarity)


def _unit(vector: core.Floats) -> core.Floats:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
