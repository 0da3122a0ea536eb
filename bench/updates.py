"""What do changes cost, and what do they do to searches?

    python -m bench.updates                          # all sections, on nfcorpus
    python -m bench.updates --sections commits opening --folder /tmp

- *commits*: the second half of a collection arrives one document at a time, then in transactions of
  100 and 1,000, with either durability; *syncs a commit* are fsync, fdatasync, msync and the like,
  counted by strace (blank without it), not writes that are synchronous themselves.
- *changes*: deletions and replacements, one at a time and together.
- *opening*: a file of about --gigabytes (float16 vectors, the quickest way to a large one), after a
  clean close and after kill -9 amid commits; cold: the file's pages were dropped from the cache.

ms are medians of the clock; *cpu ms* is the processor's time in all threads, which other work on
the machine disturbs less.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench import processes
from bench.points import Points, parser
from bench.timing import Cost, timed
from bench.truth import K
from bench.vectors import Vectors, load_vectors

SYNCS = "fsync,fdatasync,msync,sync_file_range,sync,syncfs"
LARGE_COPIES_BATCH = 512

Rows = list[dict[str, Any]]


def middle(costs: Sequence[Sequence[float]]) -> Cost:
    """Medians of several costs."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


# ---- commits ----


def commit_one_by_one(
    path: str, collection: str, durability: str, first: int, count: int
) -> list[Cost]:
    """The cost of each of `count` commits of one document. Runs in its own process."""
    documents = load_vectors(collection)
    with mvdb.open(path, durability=durability) as db:
        return [timed(documents.insert, db, at, at + 1) for at in range(first, first + count)]


def syncs_per_commit(
    path: Path, collection: str, durability: str, first: int, commits: int
) -> float | None:
    """Calls that sync, per commit: those of a run with commits above those of a run without."""
    if shutil.which("strace") is None:
        return None
    counts = []
    for count in (0, commits):
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            prefix = ["strace", "-f", "-qq", "-o", log.name, "-e", f"trace={SYNCS}"]
            arguments = {"path": str(path), "collection": collection, "durability": durability}
            processes.call(commit_one_by_one, prefix, **arguments, first=first, count=count)
            counts.append(len(re.findall(r"\) += 0", log.read())))
    return (counts[1] - counts[0]) / commits


def commits(folder: Path, collection: str, count: int) -> Rows:
    """Rows for one, 100 and 1,000 documents a commit."""
    documents = load_vectors(collection)
    half = len(documents) // 2
    base = folder / "base.mvdb"
    with mvdb.open(base, dim=documents.doc_flat.shape[1]) as db:
        documents.insert(db, 0, half)
    rows: Rows = []
    for durability in ("full", "relaxed"):
        rows += _commit_rows(folder, base, collection, documents, durability, count)
    return rows


def _commit_rows(
    folder: Path, base: Path, collection: str, documents: Vectors, durability: str, count: int
) -> Rows:
    path = folder / "commits.mvdb"
    shutil.copyfile(base, path)
    at = len(documents) // 2
    arguments = {"path": str(path), "collection": collection, "durability": durability}
    single = processes.call(commit_one_by_one, **arguments, first=at, count=count)
    at += count
    one = middle(single)
    rows = [
        {
            "durability": durability,
            "documents a commit": 1,
            "ms a commit": one.ms,
            "p95 ms": float(np.quantile([cost[0] for cost in single], 0.95)),
            "ms a document": one.ms,
            "cpu ms a document": one.cpu_ms,
            "syncs a commit": syncs_per_commit(path, collection, durability, at, count),
        }
    ]
    at += count
    with mvdb.open(path, durability=durability) as db:
        for size in (100, 1000):
            if at + size > len(documents):
                break
            spent = timed(documents.insert, db, at, at + size)
            at += size
            rows.append(
                {
                    "durability": durability,
                    "documents a commit": size,
                    "ms a commit": spent.ms,
                    "ms a document": spent.ms / size,
                    "cpu ms a document": spent.cpu_ms / size,
                    "of one alone": f"{spent.ms / size / one.ms:.1%}",
                }
            )
    path.unlink()
    return rows


# ---- changes ----


def changes(folder: Path, collection: str) -> Rows:
    """Rows for deletions and replacements."""
    documents = load_vectors(collection)
    path = folder / "changes.mvdb"
    with mvdb.open(path, dim=documents.doc_flat.shape[1]) as db:
        documents.insert(db, 0, len(documents))
        tenth = len(documents) // 10
        order = np.random.default_rng(1).permutation(len(documents)).tolist()
        single, together, replaced = order[:50], order[50 : 50 + tenth], order[-tenth:]
        rows = [
            _change("delete, one a commit", 1, [timed(db.delete, i) for i in single]),
            _change("delete 10 % in one commit", tenth, [timed(db.delete, together)]),
        ]
        one = [timed(_replace, db, documents, [i]) for i in replaced[:50]]
        rows.append(_change("upsert, one a commit", 1, one))
        many = timed(_replace, db, documents, replaced[50:])
        rows.append(_change("upsert 10 % in one commit", tenth - 50, [many]))
        rows.append(_change("optimize() after them", len(db), [timed(db.optimize)]))
        rows.append(_change("compact() after it", len(db), [timed(db.compact)]))
    path.unlink()
    return rows


def _replace(db: Any, documents: Vectors, positions: list[int]) -> None:
    """Replaces documents by the same ones."""
    db.upsert(positions, [documents.part(i, i + 1)[0] for i in positions])


def _change(name: str, documents: int, costs: Sequence[Cost]) -> dict[str, Any]:
    cost = middle(costs)
    return {
        "change": name,
        "documents": documents,
        "ms": cost.ms,
        "ms a document": cost.ms / documents,
        "cpu ms a document": cost.cpu_ms / documents,
    }


# ---- opening ----


def open_and_search(path: str, readonly: bool) -> dict[str, float]:
    """Milliseconds until a file is open, and of a first search. Runs in its own process."""
    query = np.random.default_rng(1).standard_normal((8, 128)).astype(np.float32)
    start = time.perf_counter()
    with mvdb.open(path, readonly=readonly) as db:
        opened = (time.perf_counter() - start) * 1e3
        first = timed(lambda: db.search(query, K, ids=[0, 1, 2])).ms
    return {"open": opened, "first": first}


def commit_until_killed(path: str, collection: str) -> None:
    """Replaces one document after another, for ever. Runs in its own process."""
    documents = load_vectors(collection)
    with mvdb.open(path) as db:
        while True:
            _replace(db, documents, [0])
            print("committed", flush=True)


def kill_amid_commits(path: Path, collection: str, commits_before: int = 5) -> None:
    """Runs `commit_until_killed` and kills it with SIGKILL after some commits."""
    line = processes.command(commit_until_killed, {"path": str(path), "collection": collection})
    with subprocess.Popen(line, env=processes.environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(commits_before):
            if not process.stdout.readline():
                raise RuntimeError("the writing process ended by itself")
        process.send_signal(signal.SIGKILL)


def forget_pages(path: Path) -> None:
    """Drops a file's clean pages from the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def large_file(path: Path, documents: Vectors, size: float) -> None:
    """Makes a float16 database of at least `size` bytes out of copies of the documents."""
    with mvdb.open(path, dim=documents.doc_flat.shape[1], bits=16) as db:
        copy = 0
        while path.stat().st_size < size:
            for first in range(0, len(documents), LARGE_COPIES_BATCH):
                last = min(first + LARGE_COPIES_BATCH, len(documents))
                offset = copy * len(documents)
                db.insert(list(range(offset + first, offset + last)), documents.part(first, last))
            copy += 1


def opening(folder: Path, collection: str, gigabytes: float, rounds: int) -> Rows:
    """Rows of opening times: after a clean close and after a kill, warm and cold."""
    path = folder / "large.mvdb"
    large_file(path, load_vectors(collection), gigabytes * 1e9)
    rows = []
    for state in ("closed cleanly", "killed"):
        for readonly in (True, False):
            for cold in (False, True):
                times = [
                    _open_times(path, collection, state, readonly, cold) for _ in range(rounds)
                ]
                rows.append(
                    {
                        "GB": path.stat().st_size / 1e9,
                        "state": state,
                        "mode": "readonly" if readonly else "read and write",
                        "page cache": "cold" if cold else "warm",
                        "open ms": statistics.median(one["open"] for one in times),
                        "first search ms": statistics.median(one["first"] for one in times),
                    }
                )
    path.unlink()
    return rows


def _open_times(
    path: Path, collection: str, state: str, readonly: bool, cold: bool
) -> dict[str, float]:
    if state == "killed":
        kill_amid_commits(path, collection)
    else:
        mvdb.open(path).close()
    if cold:
        forget_pages(path)
    times: dict[str, float] = processes.call(open_and_search, path=str(path), readonly=readonly)
    return times


# ---- command line ----

SECTIONS = ("commits", "changes", "opening")


def tables(folder: Path, chosen: Any) -> Iterator[tuple[str, Rows]]:
    """Titles and rows of the chosen sections."""
    name = chosen.collection
    for section in chosen.sections:
        if section == "commits":
            yield f"commits, {name}", commits(folder, name, chosen.commits)
        elif section == "changes":
            yield f"changes, {name}", changes(folder, name)
        else:
            yield "opening", opening(folder, name, chosen.gigabytes, chosen.rounds)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--collection", default="nfcorpus")
    options.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    options.add_argument("--commits", type=int, default=60, help="of one document")
    options.add_argument("--gigabytes", type=float, default=1.0)
    options.add_argument("--rounds", type=int, default=3, help="openings of each kind")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for title, rows in tables(Path(folder), chosen):
            points.add(title, *rows)
            points.show()


if __name__ == "__main__":
    main()
