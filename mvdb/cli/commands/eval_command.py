"""``mvdb eval``: how well a database, or a run, answers judged queries."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Any

from mvdb import evaluation
from mvdb.cli.chosen import chosen
from mvdb.cli.commands.grammar import (
    MODES,
    Commands,
    Parser,
    add_collection,
    add_command,
    add_encoder,
    add_filter,
    add_tenant,
    parsed_filter,
    positive,
)
from mvdb.cli.console import Console
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.cli.progress import progress
from mvdb.encoders import Encoder
from mvdb.evaluation import Evaluation, Qrels, Queries, Run

_K = 1000


def add_parsers(commands: Commands) -> None:
    about = (
        "Measures of retrieval quality (of ir-measures, extra eval) for the queries that are "
        "judged. FILE is searched for them; --run-in measures the run of another system, beside "
        "that of FILE or alone."
    )
    parser = add_command(commands, "eval", run, "measure a database by judged queries", about)
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the database")
    help = "queries: JSON lines of BEIR, lines of id and text with a tab, or topics of TREC"
    parser.add_argument("--queries", metavar="FILE", type=Path, help=help)
    help = "judgements: lines of BEIR (query, document, grade) or TREC"
    parser.add_argument("--qrels", metavar="FILE", type=Path, help=help)
    help = "write the run of the database in the form of TREC"
    parser.add_argument("--run-out", metavar="FILE", type=Path, help=help)
    help = "a run in the form of TREC to measure"
    parser.add_argument("--run-in", metavar="FILE", type=Path, help=help)
    help = "names of ir-measures with commas between (default nDCG@10,RR@10,AP@1000,R@10,R@100,..)"
    parser.add_argument("--measures", metavar="NAMES", help=help)
    parser.add_argument("--by-query", action="store_true", help="the values of each query, too")
    help = f"documents of each query (default {_K:,})"
    parser.add_argument("-k", type=positive, default=_K, metavar="N", help=help)
    _add_search(parser)


def _add_search(parser: Parser) -> None:
    parser.add_argument("--mode", choices=MODES, default="auto", help="as of mvdb search")
    parser.add_argument("--exact", action="store_true", help="score every document")
    add_collection(parser)
    add_filter(parser.add_argument)
    add_tenant(parser)
    add_encoder(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    _check(arguments)
    qrels = None if arguments.qrels is None else evaluation.read_qrels(arguments.qrels)
    measures = _measures(arguments)
    runs: dict[str, Run] = {}
    if arguments.run_in is not None:
        runs[str(arguments.run_in)] = evaluation.read_run(arguments.run_in)
    seconds = 0.0
    if arguments.file is not None:
        queries = _judged(arguments, evaluation.read_queries(arguments.queries), qrels)
        started = time.monotonic()
        found = _search(arguments, queries, console)
        seconds = time.monotonic() - started
        if arguments.run_out is not None:
            evaluation.write_run(arguments.run_out, found)
        runs = {str(arguments.file): found, **runs}
    results = {}
    if qrels is not None:
        limits = {str(arguments.file): arguments.k}
        results = {
            name: evaluation.measure(one, qrels, measures, k=limits.get(name))
            for name, one in runs.items()
        }
    _print(arguments, console, runs, results, round(seconds, 4))


def _check(arguments: argparse.Namespace) -> None:
    """Refuses arguments that do not go together."""
    if arguments.file is None and arguments.run_in is None:
        raise ValueError("nothing to measure: name FILE, or a run with --run-in")
    if arguments.file is not None and arguments.queries is None:
        raise ValueError("--queries is needed to search FILE")
    if arguments.file is None and (arguments.queries or arguments.run_out):
        raise ValueError("--queries and --run-out are about FILE, which is not named")
    if arguments.qrels is None and (arguments.run_out is None or arguments.run_in is not None):
        raise ValueError("--qrels is needed to measure; without it --run-out only writes a run")
    if arguments.qrels is None and (arguments.measures or arguments.by_query):
        raise ValueError("--measures and --by-query need --qrels")


def _measures(arguments: argparse.Namespace) -> list[str]:
    if arguments.measures is None:
        return evaluation.default_measures(arguments.k)
    # Commas between parentheses belong to a name: nDCG(cutoff=10,dcg='exp-log2').
    return [name.strip() for name in re.split(r",(?![^(]*\))", arguments.measures)]


def _judged(arguments: argparse.Namespace, queries: Queries, qrels: Qrels | None) -> Queries:
    """The queries to search for: those with judgements, where there are any."""
    if qrels is None:
        return queries
    missing = [name for name in qrels if name not in queries]
    if missing:
        raise ValueError(
            f"{arguments.qrels} judges queries that {arguments.queries} lacks: {len(missing):,}, "
            f"such as {missing[0]!r}"
        )
    return {name: text for name, text in queries.items() if name in qrels}


def _encoder(arguments: argparse.Namespace) -> Encoder | None:
    # The file first: a wrong name shows at once, not after seconds of loading a model.
    with chosen(arguments, readonly=True) as db:
        stored = db.stats().encoder
    if arguments.mode == "lexical":
        return None
    encoder = load_encoder(arguments.encoder)
    check_encoder(encoder, stored, arguments.file)
    return encoder


def _search(arguments: argparse.Namespace, queries: Queries, console: Console) -> Run:
    encoder = _encoder(arguments)
    options: dict[str, Any] = {
        "mode": arguments.mode,
        "exact": arguments.exact,
        "filter": parsed_filter(arguments.filter),
        "tenant": arguments.tenant,
    }
    with (
        chosen(arguments, encoder, readonly=True) as db,
        progress(console, "searching") as update,
    ):
        return evaluation.search_run(
            db,
            queries,
            arguments.k,
            progress=lambda done, total: update(done, total, ""),
            **options,
        )


def _print(
    arguments: argparse.Namespace,
    console: Console,
    runs: dict[str, Run],
    results: dict[str, Evaluation],
    seconds: float,
) -> None:
    if console.as_json:
        listed = [
            {
                "name": name,
                "queries": len(one),
                "measures": results[name].means if results else {},
                **({"by_query": results[name].by_query} if arguments.by_query else {}),
            }
            for name, one in runs.items()
        ]
        console.json({"k": arguments.k, "seconds": seconds, "runs": listed})
        return
    if not results:
        console.summary(f"{arguments.run_out}: {len(next(iter(runs.values()))):,} queries")
        return
    for line in _table(results, by_query=arguments.by_query):
        console.result(line)


def _table(results: dict[str, Evaluation], *, by_query: bool) -> list[str]:
    """The measures, a line each; a column for each run, and their difference."""
    several = len(results) > 1
    heads = [*results, "difference"] if several else []
    first = next(iter(results.values()))
    rows = [("", *heads)] if several else []
    for name in first.means:
        rows.append((name, *_cells([one.means[name] for one in results.values()])))
        if by_query:
            rows += [
                (f"  {query}", *_cells([one.by_query[name][query] for one in results.values()]))
                for query in first.by_query[name]
            ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(values: list[float]) -> list[str]:
    cells = [f"{value:.4f}" for value in values]
    return cells if len(values) == 1 else [*cells, f"{values[0] - values[1]:+.4f}"]
