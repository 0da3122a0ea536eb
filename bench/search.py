"""What does a search cost, and how good is it? Through the public API, one query at a time.

    python -m bench.search                                 # nfcorpus and scifact, 2 and 4 bits
    python -m bench.search nfcorpus --bits 2 --curves      # over candidates and centroids as well
    python -m bench.search wiki-30k cranfield --bits 4     # collections that nothing is tuned on

- *build s*: from float16 vectors in a mapped file to the committed database, all cores; *peak MB*:
  the greatest resident memory meanwhile above what was resident before, the whole input included.
- *p50, p95 ms*: over the queries, of each query's median over all timed passes, one thread, after a
  pass to warm up; *cpu ms*: the same median of the thread's processor time, which other work on the
  machine disturbs less.
- *overlap@10*: with exact MaxSim of the original vectors; *all scored*: the same of searches with
  `exact=True`, which score every document by its stored vectors; *nDCG@10*: linear gain.
- *private MB*: memory of the searching process above an interpreter that has imported numpy and
  lmdb, its mapping of the file apart; *mapped MB*: resident part of that mapping.
- *B/token*: the file's size after compact() per token: all there is, without texts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import memory
from bench.points import Points, parser
from bench.processes import call
from bench.timing import timed_search
from bench.truth import K, Truth, load_truth
from bench.vectors import load_vectors

CANDIDATES = (64, 128, 256, 512)
CENTROIDS_PER_ROOT = (8, 12, 18, 24, 36)


def build(path: str, collection: str, bits: int, per_root: float | None = None) -> dict[str, Any]:
    """Builds a database of a collection in one insert and compacts it. Runs in its own process."""
    import mvdb
    from mvdb.codebook import training

    if per_root is not None:
        training.CENTROIDS_PER_ROOT = per_root  # type: ignore[assignment]
        training.MIN_TOKENS_PER_CENTROID = 1
    vectors = load_vectors(collection)
    touched = int(np.asarray(vectors.doc_flat[:, 0] != 0).sum())  # so that the input is resident
    before = memory.reset_peak()
    start = time.perf_counter()
    with mvdb.open(path, dim=vectors.doc_flat.shape[1], bits=bits) as db:
        db.insert(list(range(len(vectors.doc_lengths))), (vectors.doc_flat, vectors.doc_lengths))
    seconds = time.perf_counter() - start
    peak = memory.peak()
    file_bytes = Path(path).stat().st_size
    with mvdb.open(path) as db:
        db.compact()
        stats = db.stats()
    return {
        "seconds": seconds,
        "peak_mb": None if peak is None or before is None else peak - before,
        "file_bytes": file_bytes,
        "compact_bytes": Path(path).stat().st_size,
        "tokens": len(vectors.doc_flat),
        "centroids": stats.centroids,
        "touched": touched,
    }


def search(
    path: str, collection: str, n_queries: int, passes: int, candidates: int | None = None
) -> dict[str, Any]:
    """Answers the first queries of a collection. Runs in its own process."""
    import lmdb  # noqa: F401 - part of what memory is measured above

    vectors = load_vectors(collection)
    queries = [query.copy() for query in vectors.queries()[:n_queries]]
    before = memory.private_mb(path)

    import mvdb

    start = time.perf_counter()
    with mvdb.open(path, readonly=True) as db:
        opened = time.perf_counter() - start
        found = [[hit.id for hit in db.search(q, K, candidates=candidates)] for q in queries]
        times = [
            [timed_search(db, query, candidates=candidates) for query in queries]
            for _ in range(passes)
        ]
        after = memory.private_mb(path)
    per_query = np.median(np.array(times), axis=0)
    return {
        "found": found,
        "open_ms": opened * 1e3,
        "p50_ms": float(np.median(per_query[:, 0])),
        "p95_ms": float(np.quantile(per_query[:, 0], 0.95)),
        "cpu_ms": float(np.median(per_query[:, 1])),
        "private_mb": None if before is None or after is None else after[0] - before[0],
        "mapped_mb": None if after is None else after[1],
    }


def search_all(path: str, collection: str, n_queries: int) -> list[list[int | str]]:
    """The answers when every document is scored. Runs in its own process."""
    import mvdb

    queries = load_vectors(collection).queries()[:n_queries]
    with mvdb.open(path, readonly=True) as db:
        return [[hit.id for hit in db.search(query, K, exact=True)] for query in queries]


class Bench:
    """Measurements of one collection; databases live in a folder for as long as they are needed."""

    def __init__(self, collection: str, folder: Path, passes: int, rounds: int) -> None:
        self.collection = collection
        self.truth: Truth = load_truth(collection)
        self._folder = folder
        self._passes = passes
        self._rounds = rounds

    def build(self, bits: int, per_root: float | None = None) -> tuple[Path, dict[str, Any]]:
        """A new database and what building it measured."""
        path = self._folder / f"{self.collection}-{bits}-{per_root}.mvdb"
        built = call(
            build, path=str(path), collection=self.collection, bits=bits, per_root=per_root
        )
        return path, built

    def search(self, path: Path, candidates: int | None = None) -> dict[str, Any]:
        """Columns of a table for searches in a database: the median of several processes."""
        rounds = [
            call(
                search,
                path=str(path),
                collection=self.collection,
                n_queries=len(self.truth.queries),
                passes=self._passes,
                candidates=candidates,
            )
            for _ in range(self._rounds)
        ]
        found = rounds[0]["found"]

        def middle(key: str) -> float | None:
            values = [one[key] for one in rounds]
            return None if None in values else statistics.median(values)

        return {
            "p50 ms": middle("p50_ms"),
            "p95 ms": middle("p95_ms"),
            "cpu ms": middle("cpu_ms"),
            "overlap@10": self.truth.overlap(found),
            "nDCG@10": self.truth.ndcg(found),
            "private MB": middle("private_mb"),
            "mapped MB": middle("mapped_mb"),
        }

    def overlap_of_all(self, path: Path) -> float:
        """overlap@10 when every document is scored."""
        n_queries = len(self.truth.queries)
        found: list[list[int]] = call(
            search_all, path=str(path), collection=self.collection, n_queries=n_queries
        )
        return self.truth.overlap(found)

    def main_table(self, bits: Sequence[int], curves: bool) -> list[dict[str, Any]]:
        """A row for each number of bits, and one for the exact answers."""
        exact = self.truth.exact()
        rows: list[dict[str, Any]] = [
            {"bits": "exact", "overlap@10": 1.0, "nDCG@10": self.truth.ndcg(exact)}
        ]
        self.candidate_rows: list[dict[str, Any]] = []
        for b in bits:
            path, built = self.build(b)
            found = {**self.search(path), "all scored": self.overlap_of_all(path)}
            rows.append({"bits": b, **_built(built), **found})
            if curves and b < 16:  # float16 is searched exactly
                self.candidate_rows += [
                    {"bits": b, "candidates": c, **self.search(path, c)} for c in CANDIDATES
                ]
            path.unlink()
        return rows

    def centroid_rows(self, bits: int) -> list[dict[str, Any]]:
        """Rows over the number of centroids."""
        rows = []
        for per_root in CENTROIDS_PER_ROOT:
            path, built = self.build(bits, per_root)
            rows += [
                {"K / √tokens": per_root, **_built(built), "candidates": c, **self.search(path, c)}
                for c in CANDIDATES
            ]
            path.unlink()
        return rows


def _built(built: dict[str, Any]) -> dict[str, Any]:
    """Columns of what building measured."""
    return {
        "centroids": built["centroids"],
        "build s": built["seconds"],
        "peak MB": built["peak_mb"],
        "B/token": built["compact_bytes"] / built["tokens"],
        "B/token before compact": built["file_bytes"] / built["tokens"],
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=["nfcorpus", "scifact"])
    options.add_argument("--bits", type=int, nargs="+", default=[2, 4])
    options.add_argument("--curves", action="store_true", help="vary candidates and centroids")
    options.add_argument("--passes", type=int, default=3, help="timed passes over the queries")
    options.add_argument("--rounds", type=int, default=1, help="searching processes")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for collection in chosen.collections:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            bench = Bench(collection, Path(folder).resolve(), chosen.passes, chosen.rounds)
            n = len(bench.truth.vectors.doc_lengths)
            rows = bench.main_table(chosen.bits, chosen.curves)
            points.add(f"{collection}: {n:,} documents", *rows)
            if chosen.curves:
                points.add(f"{collection}: candidates", *bench.candidate_rows)
                points.add(f"{collection}: centroids", *bench.centroid_rows(chosen.bits[0]))
            points.show()


if __name__ == "__main__":
    main()
