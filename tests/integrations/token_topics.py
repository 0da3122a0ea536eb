"""Documents and queries whose exact ranking is known: token vectors drawn around topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(rows: NDArray[Any]) -> Floats:
    result: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


@dataclass(frozen=True)
class Topics:
    """Unit vectors: a matrix (n, dim) per document, one (m, dim) per query."""

    names: list[str]
    documents: list[Floats]
    queries: list[Floats]

    @classmethod
    def drawn(cls, documents: int, queries: int, dim: int = 32, seed: int = 0) -> Topics:
        """A document has tokens of three topics; a query has tokens of a document, with noise."""
        rng = np.random.default_rng(seed)
        topics = rng.normal(size=(40, dim))

        def tokens(chosen: NDArray[Any], count: int) -> Floats:
            of = rng.choice(chosen, count)
            return unit(topics[of] + 0.7 * rng.normal(size=(count, dim)))

        made = [
            tokens(rng.choice(40, 3, replace=False), int(rng.integers(8, 40)))
            for _ in range(documents)
        ]
        asked = []
        for document in rng.choice(documents, queries):
            rows = made[document]
            noisy = rows[rng.choice(len(rows), 8)] + 0.15 * rng.normal(size=(8, dim))
            asked.append(unit(noisy))
        return cls([f"d{number}" for number in range(documents)], made, asked)

    def scores(self, query: Floats) -> dict[str, float]:
        """MaxSim of every document, in float64."""
        return {
            name: float((query.astype(np.float64) @ document.T).max(axis=1).sum())
            for name, document in zip(self.names, self.documents, strict=True)
        }

    def best(self, query: Floats, k: int) -> list[str]:
        """The k best documents by exact MaxSim."""
        scores = self.scores(query)
        return sorted(scores, key=lambda name: -scores[name])[:k]


def overlap(found: list[list[str]], expected: list[list[str]]) -> float:
    """Mean share of the expected ids among those found."""
    shares = [
        len(set(one) & set(other)) / len(other) for one, other in zip(found, expected, strict=True)
    ]
    return float(np.mean(shares))
