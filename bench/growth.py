"""What does a database lose that outgrows its training, and what does a change cost?

    python -m bench.growth                                   # nfcorpus, 2 and 4 bits
    python -m bench.growth --collection wiki-50k --queries 100 --commit 1000
    python -m bench.growth --bits 4 --sections growth --orders 4

- *growth*: a database of a tenth of the collection grows in commits of --commit documents. At 1, 2,
  5 and 10 times its size: quality and latency of searches among the documents present; beside it
  (*fresh*) those of a new database of the same documents; at the end (*optimised*) those after
  `optimize()`, as it is by default. *s*: seconds of all inserts so far, or of optimising.
- *changes*: --commit-size documents into an index of all others, in several commits: *growth/added*
  is what the file grew by over the bytes that so many tokens take in the index before. Then 10 % of
  the documents are deleted in one commit, then `optimize()`, then `compact()`.

overlap@10 is with exact MaxSim of the original vectors among the documents present; *p50 ms*
of each query's median over the timed passes; *cpu ms* by the thread's processor time, which other
work on the machine disturbs less. Documents keep the collection's order; with --orders N the
collection grows N times, later in random orders, and *growth, mean* is over all: another order is
another training, and moves overlap by some thousandths.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench.metrics import overlap_at
from bench.points import Points, parser
from bench.timing import timed, timed_search
from bench.truth import K, Truth, best_ten, load_truth

SIZES = (1, 2, 5, 10)
COMMITS = 5

Point = dict[str, Any]


class Growth:
    """Measurements of one collection; databases are made in a folder."""

    def __init__(self, folder: Path, collection: str, n_queries: int, passes: int) -> None:
        self._folder = folder
        self._collection = collection
        self._original: Truth = load_truth(collection)
        self._queries = self._original.queries[:n_queries]
        self._passes = passes
        self.take_order(0)

    def take_order(self, number: int) -> None:
        """Takes the documents in the collection's order (0), or in one of the random ones."""
        self._truth = self._original
        if number:
            random = np.random.default_rng(number)
            self._truth = self._original.reordered(random.permutation(len(self._original.vectors)))
        self._documents = self._truth.vectors

    def _new(self, path: Path, bits: int) -> mvdb.Database:
        return mvdb.open(path, dim=self._documents.doc_flat.shape[1], bits=bits)

    def grow(self, points: Points, bits: int, commit: int, orders: int) -> None:
        """Points of kind ``growth`` for one number of bits, and of several orders their means."""
        grown = []
        for number in range(orders):
            self.take_order(number)
            grown.append(list(self._grown(bits, commit)))
            points.add("growth", *({**point, "order": number} for point in grown[-1]))
        self.take_order(0)
        if orders > 1:
            points.add("growth, mean", *map(_mean, zip(*grown, strict=True)))

    def _grown(self, bits: int, commit: int) -> Iterator[Point]:
        """The points of one order."""
        path = self._folder / "growing.mvdb"
        tenth = len(self._documents) // 10
        size, seconds = 0, 0.0
        with self._new(path, bits) as db:
            for times in SIZES:
                step = commit if size else tenth
                start = time.perf_counter()
                for first in range(size, times * tenth, step):
                    self._documents.insert(db, first, min(first + step, times * tenth))
                seconds += time.perf_counter() - start
                size = times * tenth
                what: Point = {"collection": self._collection, "bits": bits, "size": f"x{times}"}
                measured = self._searched(db, path, size)
                yield {**what, "how": "grown", "s": seconds, **measured}
                if times > 1:  # the first tenth went in at once
                    yield {**what, **self._fresh(bits, size)}
            spent = timed(db.optimize).ms / 1e3
            measured = self._searched(db, path, size)
            yield {**what, "how": "optimised", "s": spent, **measured}
        path.unlink()

    def _fresh(self, bits: int, size: int) -> Point:
        """The first `size` documents in a new database, by one insert."""
        path = self._folder / "fresh.mvdb"
        with self._new(path, bits) as db:
            seconds = timed(self._documents.insert, db, 0, size).ms / 1e3
            point = {"how": "fresh", "s": seconds, **self._searched(db, path, size)}
        path.unlink()
        return point

    def _searched(self, db: mvdb.Database, path: Path, size: int) -> Point:
        """Quality and latency of searches among the first `size` documents."""
        found = [[hit.id for hit in db.search(query, K)] for query in self._queries]
        exact = [[hit.id for hit in db.search(query, K, exact=True)] for query in self._queries]
        times = [[timed_search(db, query) for query in self._queries] for _ in range(self._passes)]
        ms, cpu_ms = np.moveaxis(np.median(np.array(times), axis=0), 1, 0)
        truth = best_ten(self._truth.table[: len(self._queries), :size])
        stats = db.stats()
        return {
            "documents": size,
            "centroids": stats.centroids,
            "segments": stats.segments,
            "drift": stats.drift,
            "overlap@10": overlap_at(K, found, truth),
            "overlap@10 exact=True": overlap_at(K, exact, truth),
            "p50 ms": float(np.median(ms)),
            "p95 ms": float(np.quantile(ms, 0.95)),
            "cpu ms": float(np.median(cpu_ms)),
            "file MB": path.stat().st_size / 1e6,
        }

    def change(self, points: Points, bits: int, count: int) -> None:
        """Points of kind ``changes`` for one number of bits: commits of `count` documents into an
        index of the others, a large deletion, and what is left of it in the file."""
        path = self._folder / "changes.mvdb"
        total = len(self._documents)
        first = total - COMMITS * count
        what: Point = {"collection": self._collection, "bits": bits}
        with self._new(path, bits) as db:
            spent = timed(self._documents.insert, db, 0, first)
            size = path.stat().st_size
            points.add("changes", {**what, **_change("build", first, spent.ms, size)})
            points.add("changes", {**what, **self._insert_tail(db, path, first, count)})
            order = np.random.default_rng(1).permutation(total)[: total // 10].tolist()
            for name, documents, call in (
                ("delete 10 % in one commit", len(order), lambda: db.delete(order)),
                ("optimize() after it", len(db) - len(order), db.optimize),
                ("compact() after it", len(db) - len(order), db.compact),
            ):
                ms = timed(call).ms
                point = _change(name, documents, ms, path.stat().st_size)
                points.add("changes", {**what, **point})
        path.unlink()

    def _insert_tail(self, db: mvdb.Database, path: Path, first: int, count: int) -> Point:
        """Commits of `count` documents each, from document `first` to the last."""
        stats = db.stats()
        per_token = sum(stats.bytes.values()) / stats.tokens
        times, ratios = [], []
        before = path.stat().st_size
        for at in range(first, len(self._documents), count):
            size = path.stat().st_size
            times.append(timed(self._documents.insert, db, at, at + count).ms)
            tokens = int(self._documents.doc_lengths[at : at + count].sum())
            ratios.append((path.stat().st_size - size) / (tokens * per_token))
        added = int(self._documents.doc_lengths[first:].sum()) * per_token
        after = path.stat().st_size
        return {
            **_change(f"insert {count} in one commit", count, statistics.median(times), after),
            "max ms": max(times),
            "growth/added": (after - before) / added,
            "median growth/added": statistics.median(ratios),
        }


def _mean(points: Sequence[Point]) -> Point:
    """The mean of each number; words are the same in all points."""
    first = points[0]
    return {
        key: value if isinstance(value, str) else statistics.fmean(one[key] for one in points)
        for key, value in first.items()
    }


def _change(name: str, documents: int, ms: float, size: int) -> Point:
    return {"change": name, "documents": documents, "ms": ms, "file MB": size / 1e6}


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--collection", default="nfcorpus")
    options.add_argument("--bits", type=int, nargs="+", default=[2, 4])
    options.add_argument("--sections", nargs="+", default=["growth", "changes"])
    options.add_argument("--commit", type=int, default=200, help="documents a commit in growth")
    options.add_argument("--commit-size", type=int, default=100, help="documents in changes")
    options.add_argument("--orders", type=int, default=1, help="orders of the documents in growth")
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--passes", type=int, default=3, help="timed passes over the queries")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        bench = Growth(Path(folder), chosen.collection, chosen.queries, chosen.passes)
        for bits in chosen.bits:
            if "growth" in chosen.sections:
                bench.grow(points, bits, chosen.commit, chosen.orders)
            if "changes" in chosen.sections:
                bench.change(points, bits, chosen.commit_size)
    points.show()


if __name__ == "__main__":
    main()
