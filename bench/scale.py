"""What do searches and building cost as a collection grows?

    python -m bench.scale 3.6k 50k 200k 1m --bits 2 4 --folder /var/tmp/scale --results points.jsonl

Sizes are those of `bench.synthetic`: 3.6k, 5.2k, 50k and 200k are real collections, others are made
from the token vectors of --base. A database that --folder has complete is used again.

- *build s*: by the clock, of inserting batches of documents in transactions of --commit-every, of
  `optimize()` and of `compact()`; making the input apart. *build cpu s*: the same of the processor,
  in all threads. *build peak MB*: the greatest anonymous memory above what the process had before,
  the batch being inserted included unless it is of real documents, which are views of a mapped
  file. By stage in the points of kind *build*.
- *p50, p95 ms*: one thread, warm. In each round every database is searched in turn by a process of
  its own, after a pass to warm up; medians over the rounds.
- *overlap@10*: with exact MaxSim of the original vectors. *nDCG@10, MRR@10* against the judgements,
  and those of the exact answers; in made collections the real documents alone are judged.
- *anonymous MB*: memory of the searching process without mapped files, above what it was when it
  had imported numpy and lmdb and loaded the queries.
- *B/token*: the file's size after compact() per token, without texts.
- Means of `Database.profile` per query: counters by their names, stages in ms as *NAME ms*.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import memory
from bench.corpora import load_collection
from bench.metrics import mrr_at, ndcg_at, overlap_at
from bench.points import Points, parser
from bench.processes import call
from bench.synthetic import N_QUERIES, Source, exact_answers, sample_queries, source
from bench.timing import timed_search
from bench.truth import K
from bench.vectors import DIM, cache_folder

Row = dict[str, Any]


class Clock:
    """Seconds by the clock and of the processor, by stage."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._at = (time.perf_counter(), time.process_time())

    def end(self, stage: str) -> None:
        """Counts the time since the last call for a stage."""
        now = (time.perf_counter(), time.process_time())
        self.wall[stage] = self.wall.get(stage, 0.0) + now[0] - self._at[0]
        self.cpu[stage] = self.cpu.get(stage, 0.0) + now[1] - self._at[1]
        self._at = now


MAKING = "making input"
"""The stage that is no part of building."""


# ---- in processes of their own ----


def build(path: str, base: str, n_documents: int, bits: int, commit_every: int | None) -> Row:
    """Builds a database, optimises and compacts it."""
    import mvdb

    made = Source(base, n_documents)
    made.prepare()
    clock = Clock()

    def batches() -> Iterator[Any]:
        clock.end("inserting")
        for ids, flat, lengths in made.batches():
            clock.end(MAKING)
            yield ids, (flat, lengths)
            clock.end("inserting")

    stage = "optimising"

    def note(step: str) -> None:
        nonlocal stage
        clock.end(stage)
        stage = step

    with memory.AnonymousPeak() as watch:
        with mvdb.open(path, dim=DIM, bits=bits) as db:
            db.insert_batches(batches(), commit_every=commit_every)
            clock.end("inserting")
            inserted = Path(path).stat().st_size
            db.optimize(note)
            clock.end(stage)
            db.compact()
        clock.end("compacting")
    with mvdb.open(path, readonly=True) as db:
        stats = db.stats()
    return {
        "wall": clock.wall,
        "cpu": clock.cpu,
        "peak_mb": watch.above_mb,
        "documents": stats.documents,
        "tokens": stats.tokens,
        "centroids": stats.centroids,
        "segments": stats.segments,
        "file_bytes": Path(path).stat().st_size,
        "bytes before compact": inserted,
    }


def search(path: str, base: str, n_queries: int, passes: int, profiled: bool) -> Row:
    """Answers the sample of queries, in one thread."""
    import lmdb  # noqa: F401 - part of what memory is measured above

    queries = sample_queries(base, n_queries).vectors
    before = memory.anonymous_mb()

    import mvdb

    with mvdb.open(path, readonly=True) as db:
        found = [[hit.id for hit in db.search(query, K)] for query in queries]
        after = memory.anonymous_mb()
        times = [[timed_search(db, query).ms for query in queries] for _ in range(passes)]
        profiles = [vars(db.profile(query, K)) for query in queries] if profiled else []
    per_query = np.median(np.array(times), axis=0)
    return {
        "found": found,
        "p50 ms": float(np.median(per_query)),
        "p95 ms": float(np.quantile(per_query, 0.95)),
        "anonymous MB": None if before is None or after is None else after - before,
        "profile": profile_means(profiles),
    }


def profile_means(profiles: Sequence[Row]) -> Row:
    """Means of the fields of profiles; of a field of names, the share of the commonest."""
    row: Row = {}
    for name in profiles[0] if profiles else ():
        values = [profile[name] for profile in profiles]
        if name == "stages":
            stages = dict.fromkeys(stage for value in values for stage in value)
            for stage in stages:
                row[f"{stage} ms"] = statistics.fmean(1e3 * v.get(stage, 0.0) for v in values)
        elif isinstance(values[0], str):
            commonest = statistics.mode(values)
            row[name] = commonest
            row[f"{name} share"] = values.count(commonest) / len(values)
        elif isinstance(values[0], (int, float)):
            row[name] = statistics.fmean(values)
    return row


# ---- what the parent makes of it ----


class Judge:
    """The quality of answers to the sample of queries over a collection."""

    def __init__(self, made: Source, n_queries: int) -> None:
        self.exact = exact_answers(made, n_queries)
        folder = cache_folder(made.base)
        ids = json.loads((folder / "query_ids.json").read_text(encoding="utf-8"))
        self._queries = [ids[i] for i in sample_queries(made.base, n_queries).positions]
        self._documents = json.loads((folder / "doc_ids.json").read_text(encoding="utf-8"))
        try:
            qrels = load_collection(made.base).qrels
        except FileNotFoundError:  # the vectors are here, the texts are not
            qrels = {}
        known = set(self._documents[: made.n_documents])
        within = {
            query: {name: grade for name, grade in qrels.get(query, {}).items() if name in known}
            for query in self._queries
        }
        self._qrels = {q: grades for q, grades in within.items() if max(grades.values(), default=0)}

    def columns(self, found: Sequence[Sequence[int]]) -> Row:
        """Overlap with the exact answers, and agreement with the judgements where there are any."""
        row: Row = {"overlap@10": overlap_at(K, found, self.exact)}
        if self._qrels:
            for prefix, answers in (("", found), ("exact ", self.exact)):
                names = [[self._name(i) for i in answer] for answer in answers]
                rankings = dict(zip(self._queries, names, strict=True))
                row[f"{prefix}nDCG@10"] = ndcg_at(K, rankings, self._qrels)
                row[f"{prefix}MRR@10"] = mrr_at(K, rankings, self._qrels)
        return row

    def _name(self, position: int) -> str:
        made = position >= len(self._documents)
        return f"made {position}" if made else str(self._documents[position])


@dataclass
class Database:
    """One database to be measured: `size` as the user called it."""

    size: str
    made: Source
    bits: int
    path: Path
    built: Row = field(default_factory=dict)

    def build(self, commit_every: int | None) -> None:
        """Makes `built` what building measured: now, or when the file was built."""
        kept = self.path.with_suffix(".json")
        if not (kept.exists() and self.path.exists()):
            self.path.unlink(missing_ok=True)
            built = call(
                build,
                path=str(self.path),
                base=self.made.base,
                n_documents=self.made.n_documents,
                bits=self.bits,
                commit_every=commit_every,
            )
            kept.write_text(json.dumps(built), encoding="utf-8")
        self.built = json.loads(kept.read_text(encoding="utf-8"))

    def search(self, n_queries: int, passes: int, *, profiled: bool = False) -> Row:
        """One round of searches."""
        arguments: Row = {"n_queries": n_queries, "passes": passes, "profiled": profiled}
        found: Row = call(search, path=str(self.path), base=self.made.base, **arguments)
        return found

    @property
    def columns(self) -> Row:
        """What the database is."""
        return {
            "size": self.size,
            "collection": self.made.base,
            "documents": self.built["documents"],
            "tokens": self.built["tokens"],
            "bits": self.bits,
            "centroids": self.built["centroids"],
            "segments": self.built["segments"],
        }


def build_point(database: Database) -> Row:
    """Seconds by stage."""
    built = database.built
    stages = {f"{stage} s": seconds for stage, seconds in built["wall"].items()}
    cpu = {f"{stage} cpu s": seconds for stage, seconds in built["cpu"].items()}
    return {**database.columns, **stages, **cpu, "peak MB": built["peak_mb"]}


def scale_point(database: Database, rounds: Sequence[Row], judge: Judge) -> Row:
    """All about one database, from the rounds of searches."""
    built = database.built
    wall, cpu = ({k: v for k, v in built[key].items() if k != MAKING} for key in ("wall", "cpu"))

    def middle(key: str) -> float | None:
        values = [one[key] for one in rounds]
        return None if None in values else statistics.median(values)

    return {
        **database.columns,
        "build s": sum(wall.values()),
        "build cpu s": sum(cpu.values()),
        "build peak MB": built["peak_mb"],
        "B/token": built["file_bytes"] / built["tokens"],
        "MB": built["file_bytes"] / 1e6,
        "p50 ms": middle("p50 ms"),
        "p95 ms": middle("p95 ms"),
        "anonymous MB": middle("anonymous MB"),
        **judge.columns(rounds[0]["found"]),
        **rounds[0]["profile"],
    }


def add_collections(options: ArgumentParser, *, bits: list[int]) -> None:
    """The arguments that say which databases are searched, and with what."""
    options.add_argument("sizes", nargs="+", help="like 50k or 1m")
    options.add_argument("--bits", type=int, nargs="+", default=bits)
    options.add_argument("--base", default="wiki-200k", help="collection that documents come from")
    options.add_argument("--queries", type=int, default=N_QUERIES, help="queries in the sample")


def databases_of(chosen: Namespace, folder: Path) -> list[Database]:
    """Those that these arguments say."""
    return [
        Database(size, made, bits, folder / f"{made.base}-{made.n_documents}-{bits}.mvdb")
        for size in chosen.sizes
        for made in [source(size, chosen.base)]
        for bits in chosen.bits
    ]


def measure(databases: Sequence[Database], points: Points, options: Any) -> None:
    """Builds all, searches them in turn, judges."""
    for database in databases:
        database.build(options.commit_every)
        points.add("build", build_point(database))
    rounds: list[list[Row]] = [[] for _ in databases]
    for number in range(options.rounds):
        for database, results in zip(databases, rounds, strict=True):
            profiled = number == 0
            results.append(database.search(options.queries, options.passes, profiled=profiled))
    for database, results in zip(databases, rounds, strict=True):
        judge = Judge(database.made, options.queries)
        points.add("scale", scale_point(database, results, judge))
    points.show()


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    add_collections(options, bits=[2])
    options.add_argument("--passes", type=int, default=1, help="timed passes in a round")
    options.add_argument("--rounds", type=int, default=5, help="searching processes of each")
    options.add_argument(
        "--commit-every", type=int, help="documents a commit (default: that of the engine)"
    )
    chosen = options.parse_args(arguments)
    if chosen.folder is not None:
        Path(chosen.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(chosen.folder or temporary).resolve()
        measure(databases_of(chosen, folder), Points(chosen.results), chosen)


if __name__ == "__main__":
    main()
