"""What do the settings of a search buy, and what do bits?

    python -m bench.curves 200k --database w.mvdb --results points.jsonl     # nprobe, candidates
    python -m bench.curves 200k --database w.mvdb --prefetch                 # and when to prefetch
    python -m bench.curves --fidelity nfcorpus                               # bits

- kinds *nprobe* and *candidates*: one setting varied, the other left to its default (the point
  without a value). Settings are searched in turn, in rounds, in one process and one thread; p50 and
  p95 are those of each query's median. The database holds the collection called SIZE, as
  `bench.scale` builds it.
- kind *prefetch*: after which share of the probes, by rank, the records of the provisional best are
  asked for. Means over the queries, each on a newly opened database, which has read nothing yet.
- kind *bits*: a database for each number of bits, every document scored (`exact=True`): what the
  stored vectors are worth apart from how they are searched. *B/token* is the compacted file's size
  per token, *PART B/token* that of one part of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.points import Points, parser
from bench.processes import call
from bench.scale import Database, Judge, profile_means
from bench.synthetic import N_QUERIES, sample_queries, source
from bench.timing import timed_search
from bench.truth import K

NPROBE = (4, 8, 16, 32, 64, 128, 256)
CANDIDATES = (32, 64, 128, 256, 512, 1024, 2048)
BITS = (1, 2, 4, 8)
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)

Row = dict[str, Any]


def sweep(path: str, base: str, n_queries: int, rounds: int, settings: Sequence[Row]) -> list[Row]:
    """Answers, latency and profile for each setting. Runs in its own process."""
    import mvdb

    queries = sample_queries(base, n_queries).vectors
    with mvdb.open(path, readonly=True) as db:
        found = [[[h.id for h in db.search(q, K, **one)] for q in queries] for one in settings]
        times = np.empty((rounds, len(settings), len(queries)))
        for number in range(rounds):
            for i, one in enumerate(settings):
                times[number, i] = [timed_search(db, query, **one).ms for query in queries]
        profiles = [
            profile_means([vars(db.profile(q, K, **one)) for q in queries]) for one in settings
        ]
        for profile in profiles:  # the setting has the name
            profile["candidates scored"] = profile.pop("candidates")
        stats = db.stats()
    per_query = np.median(times, axis=0)
    return [
        {
            "documents": stats.documents,
            "tokens": stats.tokens,
            "bits": stats.bits,
            "found": found[i],
            "p50 ms": float(np.median(per_query[i])),
            "p95 ms": float(np.quantile(per_query[i], 0.95)),
            **profiles[i],
        }
        for i in range(len(settings))
    ]


def curves(size: str, path: Path, points: Points, options: Any) -> None:
    """Points over nprobe and over candidates."""
    made = source(size, options.base)
    judge = Judge(made, options.queries)
    settings: list[Row] = [
        {},
        *({"nprobe": n} for n in NPROBE),
        *({"candidates": n} for n in CANDIDATES),
    ]
    rows = call(
        sweep,
        path=str(path),
        base=made.base,
        n_queries=options.queries,
        rounds=options.rounds,
        settings=settings,
    )
    for kind in ("nprobe", "candidates"):
        for one, row in zip(settings, rows, strict=True):
            if kind in one or not one:
                measured = {key: value for key, value in row.items() if key != "found"}
                what = {"size": size, "collection": made.base, kind: one.get(kind)}
                points.add(kind, {**what, **measured, **judge.columns(row["found"])})


def profile_early(path: str, base: str, n_queries: int, share: float) -> Row:
    """Means of profiles with records asked for after a share of the probes. Runs in its own
    process."""
    import mvdb
    from mvdb.search import prefetch

    prefetch.EARLY_SHARE = share
    profiles = []
    for query in sample_queries(base, n_queries).vectors:
        with mvdb.open(path, readonly=True) as db:
            profiles.append(vars(db.profile(query, K)))
    return {"bits": db.bits, **profile_means(profiles)}


def prefetch(size: str, path: Path, points: Points, options: Any) -> None:
    """Points over the share of probes."""
    made = source(size, options.base)
    for share in SHARES:
        arguments = {"base": made.base, "n_queries": options.queries, "share": share}
        row = call(profile_early, path=str(path), **arguments)
        what = {"size": size, "collection": made.base, "share of probes": share}
        points.add("prefetch", {**what, **row})


def exhaustive(path: str, base: str, n_queries: int) -> Row:
    """Answers of exact=True and what a vector takes. Runs in its own process."""
    import mvdb

    queries = sample_queries(base, n_queries).vectors
    with mvdb.open(path, readonly=True) as db:
        found = [[hit.id for hit in db.search(query, K, exact=True)] for query in queries]
        records = db.stats().bytes
    return {"found": found, "bytes": dict(records)}


def fidelity(size: str, folder: Path, points: Points, options: Any) -> None:
    """Points over bits."""
    made = source(size, options.base)
    judge = Judge(made, options.queries)
    for bits in BITS:
        database = Database(size, made, bits, folder / f"bits-{made.base}-{bits}.mvdb")
        database.build(options.commit_every)
        arguments = {"base": made.base, "n_queries": options.queries}
        row = call(exhaustive, path=str(database.path), **arguments)
        parts = {
            f"{part} B/token": n / database.built["tokens"] for part, n in row["bytes"].items() if n
        }
        point = {
            **database.columns,
            "B/token": database.built["file_bytes"] / database.built["tokens"],
            **judge.columns(row["found"]),
            **parts,
        }
        points.add("bits", point)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("size", nargs="?", help="the collection that the database holds, like 50k")
    options.add_argument("--database", type=Path, help="default: built in the folder")
    options.add_argument("--bits", type=int, default=2, help="of a database to be built")
    options.add_argument("--prefetch", action="store_true", help="measure when to prefetch as well")
    options.add_argument("--fidelity", metavar="SIZE", help="measure bits on this collection")
    options.add_argument("--base", default="wiki-200k", help="collection that documents come from")
    options.add_argument("--queries", type=int, default=N_QUERIES, help="queries in the sample")
    options.add_argument("--rounds", type=int, default=3, help="timed passes for each setting")
    options.add_argument("--commit-every", type=int, default=10_000, help="documents a commit")
    chosen = options.parse_args(arguments)
    if chosen.size is None and chosen.fidelity is None:
        options.error("a SIZE or --fidelity SIZE is needed")
    points = Points(chosen.results)
    if chosen.folder is not None:
        Path(chosen.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(chosen.folder or temporary).resolve()
        if chosen.size is not None:
            path = chosen.database
            if path is None:
                made = source(chosen.size, chosen.base)
                name = f"{made.base}-{made.n_documents}-{chosen.bits}.mvdb"
                database = Database(chosen.size, made, chosen.bits, folder / name)
                database.build(chosen.commit_every)
                path = database.path
            curves(chosen.size, path.resolve(), points, chosen)
            if chosen.prefetch:
                prefetch(chosen.size, path.resolve(), points, chosen)
        if chosen.fidelity is not None:
            fidelity(chosen.fidelity, folder, points, chosen)
    points.show()


if __name__ == "__main__":
    main()
