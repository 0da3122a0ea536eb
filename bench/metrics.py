"""Measures of retrieval quality, and exact MaxSim by brute force.

A *ranking* is a sequence of document ids, best first; *qrels* map query id to ``{document id:
grade}``. Every measure is the mean over the queries of ``qrels``; a query without a ranking counts
0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
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


def recall_at(k: int, rankings: Rankings, qrels: Qrels) -> float:
    """Mean share of a query's relevant documents found among the first k."""
    shares = []
    for query, grades in qrels.items():
        relevant = {document for document, grade in grades.items() if grade > 0}
        shares.append(len(relevant.intersection(rankings.get(query, ())[:k])) / len(relevant))
    return _mean(shares)


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


def exact_maxsim(
    queries: Sequence[NDArray[Any]],
    doc_flat: NDArray[Any],
    doc_lengths: NDArray[Any],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Exact top k by MaxSim over all documents, in float32.

    Args:
        queries: one (m, dim) array per query.
        doc_flat: (N, dim), the documents' rows one after another; anything but float32 is converted
            once (a 6 GB float16 file becomes 12 GB of memory).
        doc_lengths: (documents,) rows per document, each at least 1, their sum N.
        k: results per query; fewer documents than k give fewer columns.

    Returns:
        indices (queries, min(k, documents)) int64 and scores float32 of the same shape, best first,
        ties by smaller index.

    Raises:
        ValueError: a document without a row, or lengths that do not sum to N.
    """
    flat = np.ascontiguousarray(doc_flat, dtype=np.float32)
    starts = _starts(doc_lengths, len(flat))
    rows = [top_k(_maxsim(query, flat, starts), k) for query in queries]
    width = min(k, len(starts))
    indices = np.array([row[0] for row in rows], dtype=np.int64).reshape(len(rows), width)
    scores = np.array([row[1] for row in rows], dtype=np.float32).reshape(len(rows), width)
    return indices, scores


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
    return list(_blocks(flat, lengths))


def _blocks(flat: NDArray[Any], lengths: NDArray[Any]) -> Iterator[NDArray[Any]]:
    start = 0
    for length in lengths.tolist():
        yield flat[start : start + length]
        start += length


# One block of the similarity matrix stays in the cache between the product and the maxima taken of
# it.
_BLOCK_ROWS = 1 << 18


def _maxsim(
    query: NDArray[Any], flat: NDArray[np.float32], starts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """MaxSim (documents,) float32 of a query (m, dim) with the documents begun at ``starts``."""
    query = np.ascontiguousarray(query, dtype=np.float32)
    scores = np.empty(len(starts), dtype=np.float32)
    first = 0
    while first < len(starts):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK_ROWS)))
        begin = int(starts[first])
        end = int(starts[last]) if last < len(starts) else len(flat)
        similarity = query @ flat[begin:end].T
        best = np.maximum.reduceat(similarity, starts[first:last] - begin, axis=1)
        scores[first:last] = best.sum(axis=0)
        first = last
    return scores


def _starts(lengths: NDArray[Any], rows: int) -> NDArray[np.int64]:
    lengths = np.asarray(lengths, dtype=np.int64)
    # reduceat would give an empty document its neighbour's row instead of an error.
    if len(lengths) and lengths.min() < 1:
        raise ValueError(f"document {int(lengths.argmin())} has no row")
    if int(lengths.sum()) != rows:
        raise ValueError(f"the lengths sum to {int(lengths.sum())}, but there are {rows} rows")
    return (
        np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)[:-1]])
        if len(lengths)
        else lengths
    )


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
