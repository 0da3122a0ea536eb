"""Measures of retrieval quality.

A *ranking* is a sequence of document ids, best first; *qrels* map query id to ``{document id:
grade}``. Every measure is the mean over the queries of ``qrels``; a query without a ranking counts
0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rankings = Mapping[str, Sequence[str]]
Qrels = Mapping[str, Mapping[str, int]]


def ndcg_at(k: int, rankings: Rankings, qrels: Qrels) -> float:
    """nDCG with the grade as gain and discount 1/log2(rank + 1), as trec_eval computes it."""
    return _mean([_ndcg(rankings.get(query, ())[:k], grades, k) for query, grades in qrels.items()])


def success_at(k: int, rankings: Rankings, qrels: Qrels) -> float:
    """Share of the queries with a relevant document among the first k."""
    return _mean(
        [
            float(_first_relevant(rankings.get(query, ())[:k], grades) > 0)
            for query, grades in qrels.items()
        ]
    )


def mrr_at(k: int, rankings: Rankings, qrels: Qrels) -> float:
    """Mean of 1/rank of the first relevant document, 0 when it is not among the first k."""
    ranks = [
        _first_relevant(rankings.get(query, ())[:k], grades) for query, grades in qrels.items()
    ]
    return _mean([1.0 / rank if rank else 0.0 for rank in ranks])


def overlap_at(
    k: int, found: Sequence[Sequence[Hashable]], exact: Sequence[Sequence[Hashable]]
) -> float:
    """Mean share of the exact first k that is among the first k found, in whatever order.

    ``found`` and ``exact`` hold one ranking per query, of ids or of indices. With fewer than k
    exact results the share is of those.

    Raises:
        ValueError: not the same number of queries.
    """
    shares = []
    for ours, truth in zip(found, exact, strict=True):
        best = set(truth[:k])
        shares.append(len(best.intersection(ours[:k])) / len(best) if best else 1.0)
    return _mean(shares)


def top_k(scores: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Indices (min(k, n),) int64 and scores of the k largest of n, ties by smaller index."""
    k = min(k, len(scores))
    if k == 0:
        return np.empty(0, dtype=np.int64), scores[:0]
    # A partition alone may keep the wrong ones of equal scores at its edge: take all that reach it.
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= edge)
    order = np.argsort(-scores[candidates], kind="stable")[:k]
    best = candidates[order]
    return best.astype(np.int64), scores[best]


def split_rows(flat: NDArray[Any], lengths: NDArray[Any]) -> list[NDArray[Any]]:
    """The (length, dim) blocks of ``flat``, as views."""
    return np.split(flat, np.cumsum(lengths)[:-1])


def _ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    gained = _dcg([grades.get(document, 0) for document in ranking])
    ideal = _dcg(sorted(grades.values(), reverse=True)[:k])
    return gained / ideal if ideal else 0.0


def _dcg(grades: Sequence[int]) -> float:
    return math.fsum(max(grade, 0) / math.log2(rank + 2) for rank, grade in enumerate(grades))


def _first_relevant(ranking: Sequence[str], grades: Mapping[str, int]) -> int:
    """Rank, from 1, of the first relevant document; 0 when there is none."""
    return next(
        (rank for rank, document in enumerate(ranking, 1) if grades.get(document, 0) > 0), 0
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
