"""What does a search cost when the file is not in memory, or not all of it?

    python -m bench.cold notes.mvdb nfcorpus                  # cold and warm
    python -m bench.cold notes.mvdb nfcorpus --cgroup GROUP   # and in little memory

A file that is not there is built of the collection first (--bits). Linux only.

- *cold*: before every query the file's pages are dropped from the page cache, and mincore confirms
  that none is left. The process stays, with what it keeps in memory of its own (*private MB*:
  Private_* but the mapping of the file), so what a first search leaves there is not read again.
- *first*: opening the file and the first search in a new process, nothing of the file in memory.
- *device reads*: requests the device completed during the query (/proc/diskstats: other processes'
  as well, hence medians); *read KB*: what the searching process had it read (/proc/self/io); *major
  faults*: times a thread waited for a page.
- *at once ms*: the pages that the query read, dropped and asked for all at once in the order of the
  file, until they are there: what a reader that knew them before would wait. *over at once*: the
  cold search over that and its warm time, median over the queries.
- *bound ms*: 1.5 x device reads / (reads a second of the device) + warm p50, median over the
  queries; *within*: share of the queries that took no longer than theirs. The device's rate is that
  of random direct reads of the database file, 64 at a time, of the size (4, 8 or 16 KiB) nearest to
  the mean read of the queries; by fio or, without it, by threads.
- *evicted*: before every query pages of the file, drawn at random, are dropped until no more of it
  than a share is in the page cache; the process's own memory is not limited. The system would
  rather drop what was not used for long, so this is the harder case. After one pass to warm up.
- *limited*: the searching process, its page cache included, has a share of the file's size plus the
  allowance, or without it. The allowance is what the same process has for itself when nothing is
  limited (Private_* but the mapping of the file). After one pass to warm up. Needs a control group
  made for this (--cgroup), of version 1 or 2, in which groups with less memory can be made.
- *reads, bytes read, prefetched, hit rate, wasted bytes*: from `Database.profile`, means.
"""

from __future__ import annotations

import inspect
import math
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import cgroups, device, memory, pagecache
from bench.points import Points, parser
from bench.processes import call
from bench.search import build
from bench.timing import timed_search
from bench.truth import K
from bench.vectors import load_vectors

PREFETCH = ("hint", "read", "off")
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)
_COUNTERS = ("reads", "bytes_read", "prefetched", "prefetch_hit_rate", "wasted_bytes")


def prefetch_modes() -> list[str | None]:
    """Ways of prefetching that this version can be told to use; [None] when it has no choice."""
    import mvdb

    known = "prefetch" in inspect.signature(mvdb.open).parameters
    return list(PREFETCH) if known else [None]


def _open(path: str, prefetch: str | None) -> Any:
    import mvdb

    options: dict[str, Any] = {} if prefetch is None else {"prefetch": prefetch}
    return mvdb.open(path, readonly=True, **options)


# ---- in processes of their own ----


def search(path: str, collection: str, n_queries: int, passes: int, prefetch: str | None) -> Any:
    """Answers queries warm, then each of them cold."""
    queries = [query.copy() for query in load_vectors(collection).queries()[:n_queries]]
    pagecache.drop(path)
    before, start = device.reads_so_far(path), time.perf_counter()
    with _open(path, prefetch) as db:
        opened = (time.perf_counter() - start) * 1e3
        first = timed_search(db, queries[0]).ms
        read = device.reads_so_far(path).since(before)
        counters = _profiled(db, queries)
        warm = [[timed_search(db, q).ms for q in queries] for _ in range(passes)]
        private = memory.private_mb(path)
        cold = [_cold(db, path, query) for query in queries]
    return {
        "first": {"open_ms": opened, "ms": first, "bytes": read.bytes},
        "warm": np.median(np.array(warm), axis=0).tolist(),
        "cold": cold,
        "private_mb": None if private is None else private[0],
        "counters": counters,
    }


def _cold(db: Any, path: str, query: Any) -> dict[str, Any]:
    """One search with nothing of the file in memory."""
    pagecache.drop(path)
    before, faults = device.reads_so_far(path), resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    ms = timed_search(db, query).ms
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - faults
    spent = device.reads_so_far(path).since(before)
    pages = pagecache.resident(path)
    pagecache.drop(path)
    return {
        "ms": ms,
        "requests": spent.requests,
        "bytes": spent.bytes,
        "faults": faults,
        "at_once": pagecache.read_at_once(path, pages),
    }


def search_evicting(
    path: str, collection: str, n_queries: int, passes: int, prefetch: str | None, share: float
) -> Any:
    """Answers queries with at most a share of the file in the page cache when each begins."""
    queries = [query.copy() for query in load_vectors(collection).queries()[:n_queries]]
    kept, rng = int(share * Path(path).stat().st_size), np.random.default_rng(1)
    times, spent = [], []
    with _open(path, prefetch) as db:
        for number in range(1 + passes):
            for query in queries:
                pagecache.keep_at_most(path, kept, rng)
                before = device.reads_so_far(path)
                ms = timed_search(db, query).ms
                if number:
                    times.append(ms)
                    spent.append(device.reads_so_far(path).since(before))
    return {
        "p50 ms": float(np.median(times)),
        "p95 ms": float(np.quantile(times, 0.95)),
        "read KB": statistics.fmean(one.bytes for one in spent) / 1e3,
    }


def _profiled(db: Any, queries: Sequence[Any]) -> dict[str, float | None]:
    """Means of the counters of profiles, None for those this version lacks."""
    profiles = [db.profile(query, K) for query in queries]
    means: dict[str, float | None] = {}
    for name in _COUNTERS:
        known = all(hasattr(profile, name) for profile in profiles)
        means[name] = statistics.fmean(getattr(p, name) for p in profiles) if known else None
    return means


def search_limited(
    group: str, path: str, collection: str, n_queries: int, passes: int, prefetch: str | None
) -> Any:
    """Answers queries within the memory of a control group."""
    queries = [query.copy() for query in load_vectors(collection).queries()[:n_queries]]
    cgroups.enter(group)
    with _open(path, prefetch) as db:
        for query in queries:
            db.search(query, K)
        before, faults = device.reads_so_far(path), resource.getrusage(0).ru_majflt
        times = [[timed_search(db, q).ms for q in queries] for _ in range(passes)]
        faults = resource.getrusage(0).ru_majflt - faults
        spent = device.reads_so_far(path).since(before)
    searches = passes * len(queries)
    return {
        "p50 ms": float(np.median(times)),
        "p95 ms": float(np.quantile(times, 0.95)),
        "read KB": spent.bytes / searches / 1e3,
        "major faults": faults / searches,
    }


# ---- what the parent makes of it ----


class Bench:
    """Measurements of one file with one set of queries."""

    def __init__(
        self, path: str, collection: str, n_queries: int, passes: int, seconds: float
    ) -> None:
        self.path = path
        self.size = Path(path).stat().st_size
        self._what = {"database": Path(path).name, "collection": collection}
        self._arguments: dict[str, Any] = {
            "path": path,
            "collection": collection,
            "n_queries": n_queries,
            "passes": passes,
        }
        self._rates = {block: device.read_rate(path, block, seconds) for block in device.BLOCKS}
        self.private_mb: dict[str | None, float | None] = {}

    def device_point(self) -> dict[str, Any]:
        """The device's rates."""
        rates = {f"{block >> 10} KiB reads/s": rate for block, rate in self._rates.items()}
        return {**self._what, "tool": device.tool(), "depth": device.DEPTH, **rates}

    def cold_point(self, prefetch: str | None, rounds: int) -> dict[str, Any]:
        """Warm and cold searches with one way of prefetching: per query, medians over rounds."""
        found = [call(search, **self._arguments, prefetch=prefetch) for _ in range(rounds)]
        self.private_mb[prefetch] = found[0]["private_mb"]
        warm = np.median([one["warm"] for one in found], axis=0)
        cold = {
            key: _medians([[query[key] for query in one["cold"]] for one in found])
            for key in ("ms", "requests", "bytes", "faults", "at_once")
        }
        times = cold["ms"]
        assert times is not None
        point: dict[str, Any] = {
            **self._what,
            "MB": self.size / 1e6,
            "prefetch": prefetch or "as built",
            "private MB": self.private_mb[prefetch],
            "open ms": statistics.median(one["first"]["open_ms"] for one in found),
            "first ms": statistics.median(one["first"]["ms"] for one in found),
            "first read MB": statistics.median(one["first"]["bytes"] for one in found) / 1e6,
            "warm p50 ms": float(np.median(warm)),
            "warm p95 ms": float(np.quantile(warm, 0.95)),
            "cold p50 ms": float(np.median(times)),
            "cold p95 ms": float(np.quantile(times, 0.95)),
            "at once ms": float(np.median(cold["at_once"])),
            "over at once": float(np.median(times / (cold["at_once"] + warm))),
            **self._bound(times, cold["requests"], cold["bytes"], float(np.median(warm))),
            "major faults": None if cold["faults"] is None else float(np.median(cold["faults"])),
        }
        return {**point, **found[0]["counters"]}

    def _bound(self, times: Any, requests: Any, read: Any, warm_ms: float) -> dict[str, Any]:
        """Columns that compare cold searches with what the device could do."""
        if requests is None:
            return {"read KB": float(np.median(read)) / 1e3}
        mean = float(np.sum(read)) / max(1.0, float(np.sum(requests)))
        block = min(self._rates, key=lambda size: abs(math.log(max(mean, 1.0) / size)))
        bounds = 1.5 * requests / self._rates[block] * 1e3 + warm_ms
        return {
            "device reads": float(np.median(requests)),
            "read KB": float(np.median(read)) / 1e3,
            "KB a read": mean / 1e3,
            "reads/s": self._rates[block],
            "bound ms": float(np.median(bounds)),
            "cold/bound": float(np.median(times / bounds)),
            "within": float(np.mean(times <= bounds)),
        }

    def evicted_point(self, share: float, prefetch: str | None) -> dict[str, Any]:
        """Searches with at most a share of the file in the page cache."""
        found = call(search_evicting, **self._arguments, prefetch=prefetch, share=share)
        what = {**self._what, "MB": self.size / 1e6, "prefetch": prefetch or "as built"}
        return {**what, "share": share, **found}

    def limited_point(
        self, group: Path, share: float, prefetch: str | None, allow: bool
    ) -> dict[str, Any]:
        """Searches with a share of the file's size for memory, plus what the process itself takes
        when `allow`."""
        allowance = int((self.private_mb.get(prefetch) or 0.0) * 1e6) if allow else 0
        limit = int(share * self.size) + allowance
        pagecache.drop(self.path)  # pages are counted where they were first brought in
        with cgroups.limited(group, limit) as inside:
            found = _unless_killed(
                lambda: call(
                    search_limited, group=str(inside), **self._arguments, prefetch=prefetch
                )
            )
        return {
            **self._what,
            "MB": self.size / 1e6,
            "prefetch": prefetch or "as built",
            "share": share,
            "allowance MB": allowance / 1e6,
            "limit MB": limit / 1e6,
            **found,
        }


def _medians(rounds: list[list[Any]]) -> Any:
    """Per query, the median over the rounds; None when something was not counted."""
    if any(value is None for one in rounds for value in one):
        return None
    return np.median(np.array(rounds, dtype=float), axis=0)


def _unless_killed(measure: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {**measure(), "outcome": "done"}
    except subprocess.CalledProcessError as error:
        if error.returncode != -signal.SIGKILL:
            raise
        return {"outcome": "killed: too little memory"}


def measure_limited(bench: Bench, points: Points, cgroup: str | None) -> None:
    """Points for limited memory, or a message why there are none."""
    if cgroup is None:
        print("limited memory: not measured; --cgroup names a group made for it. Here are")
        print("\n".join(f"    {line}" for line in cgroups.overview() or ["no hierarchies at all"]))
        return
    group = Path(cgroup)
    reason = cgroups.problem(group)
    if reason is not None:
        print(f"limited memory: cannot be measured: {reason}", file=sys.stderr)
        return
    for prefetch in bench.private_mb:
        for share in SHARES:
            for allow in (True, False):
                points.add("limited", bench.limited_point(group, share, prefetch, allow))


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("database")
    options.add_argument("collection", help="whose queries")
    options.add_argument("--bits", type=int, default=2, help="of a database to be built")
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--passes", type=int, default=3, help="timed passes when warm")
    options.add_argument("--rounds", type=int, default=3, help="searching processes")
    options.add_argument("--seconds", type=float, default=3.0, help="of each rate of the device")
    options.add_argument("--cgroup", metavar="GROUP", help="folder of a control group")
    chosen = options.parse_args(arguments)
    path = str(Path(chosen.database).resolve())
    if not Path(path).exists():
        call(build, path=path, collection=chosen.collection, bits=chosen.bits)
    pagecache.sync(path)
    points = Points(chosen.results)
    bench = Bench(path, chosen.collection, chosen.queries, chosen.passes, chosen.seconds)
    points.add("device", bench.device_point())
    for prefetch in prefetch_modes():
        points.add("cold", bench.cold_point(prefetch, chosen.rounds))
    for prefetch in bench.private_mb:
        for share in SHARES:
            points.add("evicted", bench.evicted_point(share, prefetch))
    measure_limited(bench, points, chosen.cgroup)
    points.show()


if __name__ == "__main__":
    main()
