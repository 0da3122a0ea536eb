"""Exact MaxSim for whole sets of queries, kept beside the vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.corpora import load_collection
from bench.metrics import ndcg_at, overlap_at, top_k
from bench.vectors import Vectors, cache_folder, load_vectors

K = 10
MAX_QUERIES = 500
"""Of larger sets the first ones are taken: enough for a standard error of half a percent."""
BLOCK_ROWS = 4096

Floats = NDArray[np.float32]


def all_scores(
    queries: Sequence[Floats], flat: NDArray[Any], lengths: NDArray[np.integer]
) -> Floats:
    """MaxSim (queries, documents) of all queries with all documents, in blocks of documents."""
    tokens = np.concatenate(queries).T
    query_starts = np.cumsum([0, *map(len, queries)])[:-1]
    starts = np.cumsum([0, *lengths.tolist()])
    table = np.empty((len(queries), len(lengths)), np.float32)
    first = 0
    while first < len(lengths):
        wanted = int(np.searchsorted(starts, starts[first] + BLOCK_ROWS, side="right")) - 1
        last = max(first + 1, wanted)
        similarity = flat[starts[first] : starts[last]].astype(np.float32, copy=False) @ tokens
        best = np.maximum.reduceat(similarity, starts[first:last] - starts[first], axis=0)
        table[:, first:last] = np.add.reduceat(best, query_starts, axis=1).T
        first = last
    return table


def best_ten(table: Floats) -> list[list[int]]:
    """The ten best documents of each row of a table of scores, ties by smaller number."""
    return [top_k(row, K)[0].tolist() for row in table]


@dataclass(frozen=True)
class Truth:
    """A collection's queries, and what judges answers to them: lists of positions of documents."""

    vectors: Vectors
    queries: list[Floats]
    table: Floats
    qrels: dict[str, dict[str, int]]

    def overlap(self, found: Sequence[Sequence[int]], n_documents: int | None = None) -> float:
        """overlap@10 with exact MaxSim, among the first `n_documents` (None: all)."""
        return overlap_at(K, found, best_ten(self.table[:, :n_documents]))

    def ndcg(self, found: Sequence[Sequence[int]]) -> float:
        """nDCG@10 over the queries in use."""
        ids, names = self.vectors.doc_ids, self.vectors.query_ids[: len(self.queries)]
        rankings = {name: [ids[i] for i in row] for name, row in zip(names, found, strict=True)}
        return ndcg_at(K, rankings, {name: self.qrels[name] for name in names})

    def reordered(self, order: NDArray[np.integer]) -> Truth:
        """The same with the documents in another order."""
        return replace(self, vectors=self.vectors.reordered(order), table=self.table[:, order])

    def exact(self) -> list[list[int]]:
        """The exact answers."""
        return best_ten(self.table)


def load_truth(name: str) -> Truth:
    """The truth about a collection; computed at first use, which takes a while."""
    vectors, collection = load_vectors(name), load_collection(name)
    queries = vectors.queries()[:MAX_QUERIES]
    path = cache_folder(name) / f"exact-{len(queries)}.npy"
    identity = json.dumps([len(vectors.doc_flat), len(vectors.query_flat)])
    marker = path.with_suffix(".json")
    if not (marker.exists() and marker.read_text(encoding="utf-8") == identity):
        np.save(path, all_scores(queries, vectors.doc_flat, vectors.doc_lengths))
        marker.write_text(identity, encoding="utf-8")
    return Truth(vectors, queries, np.load(path), collection.qrels)
