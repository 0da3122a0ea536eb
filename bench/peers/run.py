"""Run the engines on the same vectors, each in its own environment, and print one table.

An engine that fails is left out of the table, and the exit code is 1.
``python -m bench.peers.run nfcorpus`` runs all of them; README.md beside this file tells the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.corpora import REPOSITORY, load_collection
from bench.metrics import ndcg_at, overlap_at
from bench.peers.environments import ENVIRONMENTS
from bench.points import Row, markdown
from bench.truth import all_scores, best_ten
from bench.vectors import Vectors, cache_folder, load_vectors

K = 10


@dataclass(frozen=True)
class Run:
    """A runner with its settings. ``mvdb`` runs in the environment of this script."""

    label: str
    runner: str
    bits: int | None
    threads: int

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        environment = ENVIRONMENTS.get(self.runner)
        return str(environment.python) if environment else sys.executable


RUNS = (
    Run("exact_torch", "exact_torch", None, 2),
    Run("xtr_warp", "xtr_warp", 4, 1),
    Run("fast_plaid", "fast_plaid", 4, 2),
    Run("qdrant_edge", "qdrant_edge", 32, 2),
    Run("mvdb-2", "mvdb", 2, 1),
    Run("mvdb-4", "mvdb", 4, 1),
)


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = _parse(arguments)
    chosen = [run for run in RUNS if not options.only or run.label in options.only.split(",")]
    if not chosen:
        sys.exit(f"--only takes some of: {', '.join(run.label for run in RUNS)}")
    _require_environments(chosen, install=options.install)
    complete = True
    for name in options.collections:
        report = measure(name, chosen, options)
        print(table(report))
        complete = complete and len(report["engines"]) == len(chosen)
    if not complete:
        sys.exit(1)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collections", nargs="*", help="such as nfcorpus")
    parser.add_argument("--install", action="store_true", help="make missing environments first")
    parser.add_argument("--only", help="comma-separated: " + ", ".join(run.label for run in RUNS))
    parser.add_argument("--queries", type=int, help="only the first N queries")
    parser.add_argument("--threads", type=int, help="instead of each engine's own number")
    parser.add_argument("--rounds", type=int, default=1, help="take turns this often")
    parser.add_argument("--passes", type=int, default=3, help="timed passes of a round")
    parser.add_argument(
        "--rebuild", action="store_true", help="peers' indexes too, not only mvdb's"
    )
    parser.add_argument("--name", default="latest", help="name of the result file")
    return parser.parse_args(arguments)


def _require_environments(chosen: Sequence[Run], *, install: bool) -> None:
    """Make the environments, or stop and name those that are missing or out of date."""
    environments = {
        run.runner: ENVIRONMENTS[run.runner] for run in chosen if run.runner in ENVIRONMENTS
    }
    for environment in environments.values():
        if install:
            environment.install()
        elif not environment.installed():
            sys.exit(f"no environment {environment.folder} for {environment.name}: use --install")


def measure(name: str, chosen: Sequence[Run], options: argparse.Namespace) -> dict[str, Any]:
    """Run every engine on one collection, score it, and write the report into the cache."""
    vectors = load_vectors(name)
    source = cache_folder(name)
    work = source.parent / "peers" / source.name
    outcomes: dict[Run, list[dict[str, Any]]] = {run: [] for run in chosen}
    for turn in range(options.rounds):
        for run in list(outcomes):
            rebuild = turn == 0 and (options.rebuild or run.runner == "mvdb")
            try:
                outcomes[run].append(_execute(run, source, work, options, rebuild=rebuild))
            except subprocess.CalledProcessError as error:
                print(f"{run.label} failed and is left out: {error}", file=sys.stderr)
                del outcomes[run]
    quality = Quality(name, vectors, work, options.queries)
    report = {
        "collection": name,
        "documents": quality.documents,
        "tokens": quality.tokens,
        "queries": len(quality.query_ids),
        "tokens_per_query": quality.tokens_per_query,
        "exact_ndcg": quality.ndcg(quality.exact),
        "cpus": os.cpu_count(),
        "engines": [_summary(run, results, quality) for run, results in outcomes.items()],
    }
    path = work / f"{options.name}.json"
    path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"written: {path}", file=sys.stderr)
    return report


def _execute(
    run: Run, source: Path, work: Path, options: argparse.Namespace, *, rebuild: bool
) -> dict[str, Any]:
    """One run of one runner in its own process and environment."""
    folder = work / run.label
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "result.json"
    out.unlink(missing_ok=True)
    module = f"bench.peers.{run.runner}_runner"
    command = [run.python, "-m", module, str(source), str(folder), str(out)]
    command += ["--threads", str(options.threads or run.threads), "--passes", str(options.passes)]
    for flag, value in (("--bits", run.bits), ("--queries", options.queries)):
        command += [] if value is None else [flag, str(value)]
    command += ["--rebuild"] if rebuild else []
    print(f"{source.name}: {run.label}", file=sys.stderr)
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return read_json(out)


class Quality:
    """Truth about one collection: exact MaxSim of the original vectors, and the judgements."""

    def __init__(self, name: str, vectors: Vectors, work: Path, limit: int | None) -> None:
        """Score the first ``limit`` queries, or all; what takes long is kept in ``work``."""
        self.documents = len(vectors.doc_ids)
        self.tokens = len(vectors.doc_flat)
        self.tokens_per_query = float(vectors.query_lengths[:limit].mean())
        self.query_ids = vectors.query_ids[:limit]
        positions = _exact_positions(cache_folder(name), vectors, work)[:limit]
        self.exact = [[vectors.doc_ids[position] for position in row] for row in positions]
        self._qrels = _judgements(name, self.query_ids)

    def overlap(self, found: Sequence[Sequence[str]]) -> float:
        """Share of the exact best 10 that is among the best 10 found."""
        return overlap_at(K, found, self.exact)

    def ndcg(self, found: Sequence[Sequence[str]]) -> float | None:
        """nDCG@10, or None for a collection without judgements."""
        if self._qrels is None:
            return None
        return ndcg_at(K, dict(zip(self.query_ids, found, strict=True)), self._qrels)


def _exact_positions(source: Path, vectors: Vectors, work: Path) -> list[list[int]]:
    """The exact best 10 of all queries, kept beside the results for the next time."""
    path = work / "exact.json"
    files = ("doc_flat.npy", "query_flat.npy")
    stamp = [[(source / f).stat().st_size, (source / f).stat().st_mtime_ns] for f in files]
    kept = read_json(path) if path.exists() else {}
    if kept.get("stamp") != stamp:
        table = all_scores(vectors.queries(), vectors.doc_flat, vectors.doc_lengths)
        kept = {"stamp": stamp, "positions": best_ten(table)}
        path.write_text(json.dumps(kept), encoding="utf-8")
    positions: list[list[int]] = kept["positions"]
    return positions


def _judgements(name: str, query_ids: Sequence[str]) -> dict[str, dict[str, int]] | None:
    """Judgements of these queries, or None where the collection has no text at hand."""
    try:
        qrels = load_collection(name).qrels
    except FileNotFoundError:
        return None
    return {query_id: qrels[query_id] for query_id in query_ids if query_id in qrels}


def _summary(run: Run, outcomes: Sequence[dict[str, Any]], quality: Quality) -> dict[str, Any]:
    """The figures of one engine over all rounds."""
    first = outcomes[0]
    if first["query_ids"] != quality.query_ids:
        raise ValueError(f"{run.label} answered other queries than were asked")
    rounds = [outcome["latencies_ms"] for outcome in outcomes]
    per_query = [median(chain(*times)) for times in zip(*rounds, strict=True)]
    build = first["build"]
    return {
        "label": run.label,
        "engine": first["engine"],
        "version": first["version"],
        "bits": first["bits"],
        "threads": first["threads"],
        "p50_ms": float(np.percentile(per_query, 50)),
        "p95_ms": float(np.percentile(per_query, 95)),
        "overlap_at_10": quality.overlap(first["top"]),
        "ndcg_at_10": quality.ndcg(first["top"]),
        "disk_bytes_per_token": build and build["disk_bytes"] / quality.tokens,
        "build_seconds": build and build["seconds"],
        "build_threads": build and build["threads"],
        "build_memory_mb": build and build["memory_mb"],
        "search_memory_mb": first["memory_mb"],
        "open_seconds": first["open_seconds"],
        "load_average": [outcome["load_average"] for outcome in outcomes],
    }


def table(report: Row) -> str:
    """The report as a Markdown table under one line that describes the collection."""
    ndcg = report["exact_ndcg"]
    head = (
        f"{report['collection']}: {report['documents']:,} documents, {report['tokens']:,} token "
        f"vectors, {report['queries']} queries of {report['tokens_per_query']:.1f} tokens, "
        f"k = {K}, {report['cpus']} cores; exact nDCG@10 {'-' if ndcg is None else f'{ndcg:.4f}'}"
    )
    return markdown(head, [_columns(engine) for engine in report["engines"]])


def _columns(engine: Row) -> Row:
    return {
        "engine": f"{engine['engine']} {engine['version']}",
        "bits": engine["bits"],
        "threads": engine["threads"],
        "p50 ms": engine["p50_ms"],
        "p95 ms": engine["p95_ms"],
        "overlap@10": engine["overlap_at_10"],
        "nDCG@10": engine["ndcg_at_10"],
        "disk B/token": engine["disk_bytes_per_token"],
        "build s": engine["build_seconds"],
        "build peak MB (above input)": _memory(engine["build_memory_mb"]),
        "search peak MB (above input)": _memory(engine["search_memory_mb"]),
    }


def _memory(measured: dict[str, float] | None) -> str | None:
    return None if measured is None else f"{measured['peak']:,.0f} ({measured['above']:,.0f})"


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file holds."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
