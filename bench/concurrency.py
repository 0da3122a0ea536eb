"""What do searches cost while something else goes on? One searching thread, through the public API.

    python -m bench.concurrency                             # nfcorpus, 2 bits, 5 s a phase
    python -m bench.concurrency --collection wiki-50k --seconds 10 --batch 200

The database begins with the first half of the collection. Phases, each between two idle ones:

- *inserting*: another thread inserts batches of encoded vectors, without a pause, each a commit.
- *merging*: another thread replaces --batch documents, then runs `optimize()`, again and again;
  only searches that began during `optimize()` count.
- *second process*: another process searches the same file without a pause.
- *search_batch*: queries a second of one call for all queries on 1, 2, ... threads, and those of
  single calls in the same run.

*ratio*: p50 over that of the idle phases just before and after, taken together; a database that
grew meanwhile is a larger one in the second of them. *cpu ms*: median of the searching thread's
processor time. The times are those of a machine with as many processors as *cpus* says.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench import processes
from bench.points import Points, parser
from bench.truth import Floats, K
from bench.vectors import load_vectors

Point = dict[str, Any]
Sample = tuple[float, float, float]
"""Start of a search, its milliseconds, and those of the thread's processor time."""


class Background:
    """Something another thread does again and again; `spans` are the times that count."""

    def __init__(self, step: Callable[[int], tuple[float, float]]) -> None:
        self._step = step
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self.spans: list[tuple[float, float]] = []

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.spans.append(self._step(len(self.spans)))
        except BaseException as error:  # told by the thread that waits
            self._error = error

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs it in a thread, to the end of the step under way. Raises what the thread raised."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def during(self, samples: list[Sample]) -> list[Sample]:
        """The samples that began in one of the spans."""
        return [one for one in samples if any(a <= one[0] < b for a, b in self.spans)]


class Bench:
    """Phases on one open database."""

    def __init__(self, db: mvdb.Database, collection: str, n_queries: int, seconds: float) -> None:
        vectors = load_vectors(collection)
        self.db = db
        self.documents = vectors
        self._collection = collection
        self.queries = [query.copy() for query in vectors.queries()[:n_queries]]
        self.seconds = seconds
        self._next_id = 0

    def samples(self) -> list[Sample]:
        """Searches for a while."""
        found: list[Sample] = []
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            found.append(_search(self.db, self.queries[len(found) % len(self.queries)]))
        return found

    def phase(
        self,
        name: str,
        other: AbstractContextManager[None],
        counted: Callable[[list[Sample]], list[Sample]] = list,
        details: Callable[[], Point] = dict,
    ) -> Point:
        """Searches while `other` goes on, and idle ones before and after."""
        documents = len(self.db)
        before = self.samples()
        with other:
            samples = self.samples()
        after = self.samples()
        return {
            "phase": name,
            "documents": documents,
            "and after": len(self.db),
            **_compared(counted(samples), before + after),
            **details(),
        }

    # ---- what else goes on ----

    def insert(self, batch: int) -> tuple[float, float]:
        """Inserts a batch of documents under new ids."""
        start = time.perf_counter()
        half = len(self.documents) // 2
        first = half + self._next_id % max(1, len(self.documents) - half - batch)
        ids = range(
            len(self.documents) + self._next_id, len(self.documents) + self._next_id + batch
        )
        self.db.insert(list(ids), self.documents.part(first, first + batch))
        self._next_id += batch
        return start, time.perf_counter()

    def optimise(self, batch: int, turn: int) -> tuple[float, float]:
        """Replaces a batch of documents by themselves; then optimises, the part that counts."""
        half = len(self.documents) // 2
        first = turn * batch % max(1, half - batch)
        ids = list(range(first, first + batch))
        self.db.upsert(ids, self.documents.part(first, first + batch))
        start = time.perf_counter()
        self.db.optimize()
        return start, time.perf_counter()

    # ---- points ----

    def points(self, batch: int) -> Iterator[Point]:
        """A point for each phase."""
        yield self.phase("second process", _searching(self.db.path, self._collection))
        merging = Background(lambda turn: self.optimise(batch, turn))
        yield self.phase("merging", merging.running(), merging.during, lambda: _rate(merging, 1))
        inserting = Background(lambda turn: self.insert(batch))
        yield self.phase(
            "inserting",
            inserting.running(),
            details=lambda: {**_rate(inserting, batch), "segments": self.db.stats().segments},
        )

    def batch_points(self) -> Iterator[Point]:
        """Points of `search_batch` on several numbers of threads."""
        single = [one[1] for one in self.samples()]
        rate = len(single) / sum(single) * 1e3
        for threads in range(1, (os.cpu_count() or 1) + 1):
            done, start = 0, time.perf_counter()
            while time.perf_counter() < start + self.seconds:
                self.db.search_batch(self.queries, K, threads=threads)
                done += len(self.queries)
            batch = done / (time.perf_counter() - start)
            yield {
                "threads": threads,
                "queries/s": batch,
                "single calls/s": rate,
                "ratio": batch / rate,
            }


def _search(db: mvdb.Database, query: Floats) -> Sample:
    start, cpu = time.perf_counter(), time.thread_time()
    db.search(query, K)
    return start, (time.perf_counter() - start) * 1e3, (time.thread_time() - cpu) * 1e3


def _compared(samples: list[Sample], idle: list[Sample]) -> Point:
    """Columns of a phase beside its idle ones."""
    if not samples:
        return {"searches": 0}
    _, ms, cpu_ms = np.array(samples).T
    _, idle_ms, idle_cpu_ms = np.array(idle).T
    return {
        "searches": len(samples),
        "p50 ms": float(np.median(ms)),
        "p95 ms": float(np.quantile(ms, 0.95)),
        "cpu ms": float(np.median(cpu_ms)),
        "idle p50 ms": float(np.median(idle_ms)),
        "idle p95 ms": float(np.quantile(idle_ms, 0.95)),
        "idle cpu ms": float(np.median(idle_cpu_ms)),
        "ratio": float(np.median(ms) / np.median(idle_ms)),
        "p95 ratio": float(np.quantile(ms, 0.95) / np.quantile(idle_ms, 0.95)),
    }


def _rate(background: Background, documents: int) -> Point:
    """How often the other thread did it, and how long it took."""
    times = [last - first for first, last in background.spans]
    return {
        "steps": len(times),
        "step ms": float(np.median(times)) * 1e3,
        "a second": documents * len(times) / sum(times),
    }


# ---- in a process of its own ----


def search_for_ever(path: str, collection: str) -> None:
    """Searches until standard input ends."""
    ended = threading.Event()

    def wait() -> None:
        os.read(0, 1)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    queries = [query.copy() for query in load_vectors(collection).queries()[:100]]
    with mvdb.open(path) as db:
        db.search(queries[0], K)
        print("searching", flush=True)
        while not ended.is_set():
            for query in queries:
                db.search(query, K)


@contextmanager
def _searching(path: Path, collection: str) -> Iterator[None]:
    """Another process that searches the file meanwhile."""
    line = processes.command(search_for_ever, {"path": str(path), "collection": collection})
    with subprocess.Popen(
        line, env=processes.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the searching process ended by itself")
        try:
            yield
        finally:
            process.stdin.close()
            process.stdout.read()  # to its end: the process says something more


def measure(
    path: str, collection: str, bits: int, n_queries: int, seconds: float, batch: int
) -> list[tuple[str, Point]]:
    """All points. Runs in its own process, whose numpy has one thread."""
    what: Point = {"collection": collection, "bits": bits, "batch": batch, "cpus": os.cpu_count()}
    documents = load_vectors(collection)
    with mvdb.open(path, dim=documents.doc_flat.shape[1], bits=bits) as db:
        documents.insert(db, 0, len(documents) // 2)
        bench = Bench(db, collection, n_queries, seconds)
        for query in bench.queries:
            db.search(query, K)
        found = [("concurrency", {**what, **bench.phase("idle", nullcontext())})]
        found += [("search_batch", {**what, **point}) for point in bench.batch_points()]
        found += [("concurrency", {**what, **point}) for point in bench.points(batch)]
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--collection", default="nfcorpus")
    options.add_argument("--bits", type=int, nargs="+", default=[2])
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--seconds", type=float, default=5.0, help="of a phase")
    options.add_argument("--batch", type=int, default=100, help="documents a commit")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for bits in chosen.bits:
            for kind, point in processes.call(
                measure,
                path=str(Path(folder) / f"{bits}.mvdb"),
                collection=chosen.collection,
                bits=bits,
                n_queries=chosen.queries,
                seconds=chosen.seconds,
                batch=chosen.batch,
            ):
                points.add(kind, point)
    points.show()


if __name__ == "__main__":
    main()
