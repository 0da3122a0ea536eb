"""How far is each stage of a search from what the machine allows?

    python -m bench.bounds 3.6k 50k --bits 4 --folder /var/tmp/scale

Databases are those of `bench.scale`; searches have the default settings and one thread, and nothing
is cold. One line for each stage, of the mean query:

- *units*: what the stage goes through: centroids, postings, codes or document tokens; *KB*: the
  bytes of them that it reads; *runs*: the places that these bytes lie at, each on pages of its own.
  *score*: with the query in int8, by the tokens near the query, then by the others, whose products
  with centroids the bound leaves out; *refine*: by all tokens in int8, and by those that contend in
  int16, which the bound leaves out. The runs of *probe* are groups of centroids of mean size, as
  many as have so many rows.
- *us*: the time taken in the core, the least of several passes. *python us*: the rest of the call.
- *compute us*: the units at the kernel's rate, from L1 (`bench.kernels`). *memory us*: the runs,
  read in a random order with the next ones loaded ahead, from a region as large as the one they are
  in, on pages of 4 KB, by a program that does nothing else.
- *bound us*: the greater of the two. *ratio*: the time taken over the bound.

Bounds of stages add up, as long as the next stage needs what the one before finds.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.kernels import timings
from bench.points import Points, parser
from bench.processes import call
from bench.scale import add_collections, databases_of
from bench.synthetic import sample_queries
from bench.truth import K

Row = dict[str, Any]
STAGES = ("probe", "gather", "interact", "score", "refine")
_FOUND_BYTES = 8
"""Of what gathering keeps for a document."""

_RUNS = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
int main(int argc, char **argv) {
  if (argc != 3) return 1;
  const size_t size = (size_t)atoll(argv[1]) / 64 * 64 + 64, run = (size_t)atoll(argv[2]);
  const size_t lines = run / 64 + 1, n = 4096, ahead = lines > 16 ? 1 : 16 / lines;
  uint8_t *at = mmap(NULL, size + lines * 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
  if (at == MAP_FAILED) return 1;
#ifdef MADV_NOHUGEPAGE
  madvise(at, size, MADV_NOHUGEPAGE);
#endif
  for (size_t i = 0; i < size; i += 4096) at[i] = 1;
  static size_t places[4096 + 16];
  double best = 1e30;
  uint64_t sum = 0;
  for (int round = 0; round < 30; round++) {
    for (size_t i = 0; i < n + 16; i++) {
      const uint64_t r = (uint64_t)rand() * 0x7fffffffu + (uint64_t)rand();
      places[i] = r % (size / 64) * 64;
    }
    const double start = now();
    for (size_t i = 0; i < n; i++) {
      const uint8_t *next = at + places[i + ahead], *own = at + places[i];
      for (size_t l = 0; l < lines; l++) __builtin_prefetch(next + l * 64);
      for (size_t l = 0; l < lines; l++) sum += *(volatile const uint64_t *)(own + l * 64);
    }
    const double time = (now() - start) / (double)n;
    if (time < best) best = time;
  }
  printf("%.3f\n", best);
  return sum == 42;
}
"""


class Memory:
    """What reading at random places costs."""

    def __init__(self, folder: Path) -> None:
        source, self._program = folder / "runs.c", folder / "runs"
        source.write_text(_RUNS, encoding="ascii")
        subprocess.run(["cc", "-O2", str(source), "-o", str(self._program)], check=True)
        self._known: dict[tuple[int, int], float] = {}

    def run_ns(self, region: int, run: int) -> float:
        """Of a run of so many bytes in a region of so many."""
        if (region, run) not in self._known:
            self._known[region, run] = self._measured(region, run)
        return self._known[region, run]

    def _measured(self, region: int, run: int) -> float:
        line = [str(self._program), str(region), str(run)]
        return float(subprocess.run(line, capture_output=True, check=True).stdout)


@dataclass
class Work:
    """What a stage has gone through, of all queries. compute: by lanes, units times blocks of query
    tokens."""

    ns: float = 0.0
    units: int = 0
    bytes: int = 0
    runs: int = 0
    compute: dict[int, int] = field(default_factory=dict)

    def add(self, ns: float, units: int, size: int, runs: int, lanes: int, blocks: int) -> None:
        self.ns += ns
        self.units += units
        self.bytes += size
        self.runs += runs
        self.compute[lanes] = self.compute.get(lanes, 0) + units * blocks


# ---- in a process of its own ----


class Meter:
    """Measures the stages of searches."""

    def __init__(self, db: Any) -> None:
        from mvdb import core
        from mvdb.codebook.codebook import load_spec

        self.work = {stage: Work() for stage in STAGES}
        self._core: Any = core
        self._row_bytes = core.padded_dim(db.dim)
        self._query: Any = None
        self._before: dict[str, int] = {}
        with db._engine.reading() as (txn, state):
            self._segments = state.open_vectors(txn).segments
            book = state.codebook  # None: no document is encoded yet
            spec = None if book is None else load_spec(txn, book.generation)
        n_rows, n_groups = (len(spec.rows), len(spec.group_rows)) if spec else (0, 1)
        self._group_rows = max(1.0, n_rows / n_groups)
        self.row_bytes = n_rows * self._row_bytes

    @contextmanager
    def on(self) -> Iterator[None]:
        """Measures during the block: searches go on stage by stage."""
        search, go_on = self._core.Query.search, self._core.Progress.go_on

        def begun(query: Any, *arguments: Any) -> Any:
            self._query, self._before = query, {}
            return search(query, *arguments)

        def measured(progress: Any, **_: Any) -> Any:
            stage, candidates = progress.stage, progress.places
            start = time.perf_counter_ns()
            event = go_on(progress, one_stage=True)
            self._note(stage, time.perf_counter_ns() - start, candidates, progress)
            return event

        self._core.Query.search, self._core.Progress.go_on = begun, measured
        try:
            yield
        finally:
            self._core.Query.search, self._core.Progress.go_on = search, go_on

    def _note(self, stage: str, ns: float, candidates: Any, progress: Any) -> None:
        lanes = _lanes(self._query.m, self._core.instruction_set())
        blocks = -(-self._query.m // 32)
        n_centroids, n_scored = self._query.counts
        centroids, scored = self._new("centroids", n_centroids), self._new("scored", n_scored)
        postings = self._new("postings", progress.postings)
        documents = self._new("documents", progress.documents)
        if stage == "probe":
            groups = round(centroids / self._group_rows)
            self.work[stage].add(ns, centroids, centroids * self._row_bytes, groups, lanes, 1)
        elif stage == "gather":
            self.work[stage].add(ns, postings, 0, postings, 0, 1)
        elif stage == "interact":
            tokens = self._tokens(candidates)
            size = sum(n * self._segments[i].code_bytes for i, n in tokens.items())
            n = sum(tokens.values())
            self.work[stage].add(ns, n, size, len(candidates), lanes, blocks)
        elif stage in ("score", "refine"):
            n = scored // blocks
            runs = documents if stage == "score" else len(progress.places)
            size = n * self._segments[0]._record_bytes
            self.work[stage].add(ns, n, size, runs, lanes, blocks)

    def _new(self, what: str, count: int) -> int:
        """What has been added to a count since the stage before."""
        added = count - self._before.get(what, 0)
        self._before[what] = count
        return added

    def _tokens(self, places: Any) -> dict[int, int]:
        """Document tokens by segment."""
        found = {}
        for i, segment in enumerate(self._segments):
            slots = places["document"][places["segment"] == i]
            starts = segment.directory.starts
            found[i] = int((starts[slots + 1] - starts[slots]).sum())
        return found


def _lanes(n_tokens: int, isa: str) -> int:
    step = 16 if isa in ("avx512", "amx") and n_tokens > 8 else 8
    return -(-min(n_tokens, 32) // step) * step


def search(path: str, base: str, n_queries: int, passes: int) -> Row:
    """The work of the sample of queries, per query: of the pass that took the least time."""
    import mvdb
    from mvdb import core

    queries = sample_queries(base, n_queries).vectors
    with mvdb.open(path, readonly=True) as db:
        for query in queries:
            db.search(query, K)
        best: tuple[float, Meter] | None = None
        plain = []
        for _ in range(passes):
            plain.append(_pass_ns(db, queries))
            meter = Meter(db)
            with meter.on():
                _pass_ns(db, queries)
            total = sum(one.ns for one in meter.work.values())
            if best is None or total < best[0]:
                best = total, meter
        assert best is not None
        stats = db.stats()
    return {
        "ns": min(plain) / len(queries),
        "isa": core.instruction_set(),
        "documents": stats.documents,
        "file_bytes": Path(path).stat().st_size,
        "row_bytes": best[1].row_bytes,
        "work": {stage: vars(work) for stage, work in best[1].work.items()},
        "queries": len(queries),
    }


def _pass_ns(db: Any, queries: Any) -> int:
    start = time.perf_counter_ns()
    for query in queries:
        db.search(query, K)
    return time.perf_counter_ns() - start


# ---- what the parent makes of it ----


class Rates:
    """Nanoseconds of the kernels per unit, by stage and lanes."""

    def __init__(self, isa: str, bits: int) -> None:
        found = {(one.kernel, one.bits, one.lanes): one.ns for one in timings(1) if one.isa == isa}
        # Residuals of a byte need no unpacking.
        score = ("dot8", 0) if bits == 8 else ("unpack+dot7+maxsim", bits)
        kernels = {"probe": ("dot8", 0), "interact": ("interact16k", 0), "score": score}
        all_lanes = {lanes for _, _, lanes in found}
        self._ns = {
            (stage, lanes): found[kernel, wide, lanes]
            for lanes in all_lanes
            for stage, (kernel, wide) in kernels.items()
        }
        for lanes in all_lanes:  # the centroids' rows are multiplied as well
            self._ns["refine", lanes] = self._ns["score", lanes] + self._ns["probe", lanes]

    def compute_ns(self, stage: str, work: dict[str, Any]) -> float:
        """Of all units; 0 where no kernel is the bound."""
        parts: dict[str, int] = work["compute"]
        return sum(n * self._ns.get((stage, int(lanes)), 0.0) for lanes, n in parts.items())


def memory_ns(stage: str, work: Row, found: Row, memory: Memory) -> float:
    """Of all runs."""
    if not work["runs"]:
        return 0.0
    if stage == "gather":
        return float(work["runs"] * memory.run_ns(_FOUND_BYTES * found["documents"], _FOUND_BYTES))
    run = round(work["bytes"] / work["runs"])
    region = found["row_bytes" if stage == "probe" else "file_bytes"]
    return float(work["runs"] * memory.run_ns(region, run))


def ledger(found: Row, rates: Rates, memory: Memory) -> list[Row]:
    """A row for each stage, for Python, and for the sum."""
    rows: list[Row] = []
    for stage, work in found["work"].items():
        each = 1e-3 / found["queries"]
        compute = each * rates.compute_ns(stage, work)
        moved = each * memory_ns(stage, work, found, memory)
        rows.append(
            {
                "stage": stage,
                "units": work["units"] / found["queries"],
                "KB": work["bytes"] / found["queries"] / 1e3,
                "runs": work["runs"] / found["queries"],
                "us": each * work["ns"],
                "compute us": compute,
                "memory us": moved,
                "bound us": max(compute, moved),
            }
        )
    core_us = sum(row["us"] for row in rows)
    bound = sum(row["bound us"] for row in rows)
    rows.append({"stage": "python", "us": found["ns"] / 1e3 - core_us})
    rows.append({"stage": "sum", "us": found["ns"] / 1e3, "bound us": bound})
    for row in rows:
        row["ratio"] = row["us"] / row["bound us"] if row.get("bound us") else None
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    add_collections(options, bits=[4])
    options.add_argument("--passes", type=int, default=5, help="timed passes over the queries")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(chosen.folder or temporary).resolve()
        memory = Memory(Path(temporary))
        for database in databases_of(chosen, folder):
            database.build(None)
            queries: Row = {"n_queries": chosen.queries, "passes": chosen.passes}
            path, base = str(database.path), database.made.base
            found = call(search, path=path, base=base, **queries)
            rows = ledger(found, Rates(found["isa"], database.bits), memory)
            points.add(f"{database.size}, {database.bits} bits, {found['isa']}", *rows)
            points.show()


if __name__ == "__main__":
    main()
