"""What do learned sparse vectors cost?

    python -m bench.sparse                         # 200,000 documents
    python -m bench.sparse --documents 50000 --folder /tmp

The vectors are made: documents have about 120 of 30,000 terms with the frequencies of rank^-0.8,
queries about 30, weights are exponential; token vectors are two random ones. So sizes and times
are those of a vocabulary of such a shape, and say nothing of the quality of an encoder. Inserting
is measured with and without the sparse vectors, in processor time; searches and updates are medians
of a warm file of one segment, on one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench.browsing import ROUNDS, milliseconds
from bench.points import Points, parser

BATCH = 10_000
DIM = 16
TERMS = 30_000
OF_DOCUMENT, OF_QUERY = 120, 30

Rows = list[dict[str, Any]]


class Drawn:
    """Draws sparse vectors."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._below = np.cumsum(np.arange(1, TERMS + 1) ** -0.8)

    def vector(self, n_terms: int) -> dict[int, float]:
        """About so many terms, by their number, with weights."""
        places = self._rng.random(n_terms) * self._below[-1]
        terms = np.unique(np.searchsorted(self._below, places))
        weights = self._rng.exponential(size=len(terms))
        return dict(zip(terms.tolist(), weights.tolist(), strict=True))


def batches(n_documents: int, *, sparse: bool) -> Iterator[dict[str, Any]]:
    """Documents 0, 1, ... with random token vectors."""
    rng, drawn = np.random.default_rng(1), Drawn(2)
    for first in range(0, n_documents, BATCH):
        ids = list(range(first, min(first + BATCH, n_documents)))
        batch = {"ids": ids, "embeddings": rng.standard_normal((len(ids), 2, DIM), np.float32)}
        yield {**batch, "sparse": [drawn.vector(OF_DOCUMENT) for _ in ids]} if sparse else batch


def inserted(path: Path, n_documents: int, *, sparse: bool) -> float:
    """Processor seconds of inserting and merging, without those of making the vectors."""
    spent = 0.0
    with mvdb.open(path, dim=DIM, durability="relaxed", background=False) as db:
        for batch in batches(n_documents, sparse=sparse):
            start = time.process_time()
            db.insert(**batch)
            spent += time.process_time() - start
        start = time.process_time()
        db.optimize()
        return spent + time.process_time() - start


def figures(path: Path) -> Rows:
    """Searches and updates of the file, and the size of its weights."""
    drawn, rng = Drawn(3), np.random.default_rng(4)
    with mvdb.open(path, durability="relaxed", background=False) as db:
        names = iter(rng.permutation(len(db)).tolist())
        calls: dict[str, Callable[[], object]] = {
            "sparse, k = 10": lambda: db.search(sparse=drawn.vector(OF_QUERY)),
            "hybrid, k = 10": lambda: db.search(
                rng.standard_normal((8, DIM)), sparse=drawn.vector(OF_QUERY)
            ),
            "dense, k = 10": lambda: db.search(rng.standard_normal((8, DIM))),
            "update of one document's metadata": lambda: db.update(next(names), metadata={"n": 1}),
        }
        rows: Rows = []
        for name, call in calls.items():
            call()
            rows.append({"call": name, "ms": milliseconds(call, ROUNDS)})
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--documents", type=int, default=200_000)
    given = options.parse_args(arguments)
    points = Points(given.results)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        rows: Rows = []
        for sparse in (False, True):
            path = Path(folder) / f"{sparse}.mvdb"
            seconds = inserted(path, given.documents, sparse=sparse)
            with mvdb.open(path, readonly=True) as db:
                stored = db.stats().bytes
            weights = stored["weights"] + stored["weight_directory"]
            cost = {"µs/document": 1e6 * seconds / given.documents}
            rows.append({"sparse": sparse, **cost, "B/document": weights / given.documents})
        points.add(f"inserting {given.documents:,} documents", *rows)
        points.add(f"calls, {given.documents:,} documents", *figures(path))
    points.show()


if __name__ == "__main__":
    main()
