"""Commands on a file or a collection of it (info, optimize) and on a whole file
(verify, compact, backup, repair)."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count as count_up
from pathlib import Path

import mvdb
from mvdb.cli.chosen import chosen, shown
from mvdb.cli.commands.grammar import (
    Commands,
    Parser,
    Run,
    add_collection,
    add_command,
    add_file,
    add_timeout,
)
from mvdb.cli.console import Console, count, one_line, size
from mvdb.cli.free_space import hint_to_compact
from mvdb.cli.progress import progress
from mvdb.cli.waiting import wait_for_writers

_PROBLEMS_SHOWN = 20


def add_parsers(commands: Commands) -> None:
    def add(name: str, run: Run, help: str) -> Parser:
        parser = add_command(commands, name, run, help)
        if name != "repair":
            add_file(parser)
        if name in ("info", "optimize"):
            add_collection(parser)
        return parser

    add("info", info, "numbers about a database")
    parser = add("verify", verify, "check every block of a database; exit code 1 if it is damaged")
    parser.add_argument("--shallow", action="store_true", help="leave out vectors and texts")
    parser = add(
        "optimize", optimize, "train and merge what is due, drop deleted data (never needed)"
    )
    add_timeout(parser)
    parser = add("compact", compact, "rewrite a database to the smallest file")
    parser.add_argument("--to", metavar="DST", type=Path, help="write there instead of in place")
    add_timeout(parser)
    parser = add("backup", backup, "copy a database, which may be in use, consistently")
    parser.add_argument("destination", metavar="DST", type=Path, help="the copy; must not exist")
    parser = add("repair", repair, "salvage what is sound in a damaged database into a new file")
    parser.add_argument("source", metavar="SRC", type=Path, help="the damaged file; not changed")
    parser.add_argument("destination", metavar="DST", type=Path, help="the new file")


def info(arguments: argparse.Namespace, console: Console) -> None:
    with chosen(arguments, readonly=True) as db:
        stats = db.stats()
        names = db.collections() if arguments.collection is None else []
    level = stats.relevance_level
    centroids = f"{stats.centroids:,} (of {stats.trained_tokens:,} tokens)"
    rows = {
        "file": f"{shown(arguments)} {size(stats.file_bytes)}",
        "documents": f"{stats.documents:,}",
        "tokens": f"{stats.tokens:,}",
        "dim": str(stats.dim),
        "bits": str(stats.bits),
        "encoder": stats.encoder or "none: vectors were given",
        "segments": f"{stats.segments:,}",
        "centroids": centroids if stats.centroids else "none yet: searched exactly",
        "relevance": "not measured" if level is None else f"level {level:.3f}",
        "deleted": f"{stats.deleted_share:.1%}",
        "drift": f"{stats.drift:.3f}",
        **{f"  {part}": size(number) for part, number in stats.bytes.items() if number},
        "  free": size(stats.free_bytes),
    }
    if names:
        rows["collections"] = one_line(", ".join(names))
    if stats.maintenance_error is not None:
        rows["failed"] = one_line(stats.maintenance_error)
    width = max(map(len, rows))
    text = "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
    value = {"file": str(arguments.file), **stats.to_dict()}
    console.result(text, value if arguments.collection else {**value, "collections": names})
    hint_to_compact(stats, arguments, console)


def verify(arguments: argparse.Namespace, console: Console) -> None:
    with (
        mvdb.open(arguments.file, readonly=True) as db,
        progress(console, "verifying") as update,
    ):
        report = db.verify(deep=not arguments.shallow, progress=partial(update, note="documents"))
    parts = count(sum(report.blocks.values()), "block"), count(report.documents, "document")
    text = f"{arguments.file}: ok: {', '.join(parts)}, {count(report.tokens, 'token')}"
    if not report.ok:
        text = "\n".join(report.problems[:_PROBLEMS_SHOWN])
        more = len(report.problems) - _PROBLEMS_SHOWN
        text += f"\n... and {more:,} more" if more > 0 else ""
    console.result(text, {"file": str(arguments.file), **report.to_dict()})
    if not report.ok:
        problems = count(len(report.problems), "problem")
        advice = "mvdb repair salvages what is sound"
        raise mvdb.CorruptionError(f"{arguments.file}: {problems}; {advice}")


def optimize(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.file, console),
        chosen(arguments, create=False) as db,
    ):
        wait_for_writers(db, arguments, console)
        with progress(console, "optimizing") as update:
            steps = count_up(1)
            db.optimize(progress=lambda name: update(next(steps), None, name))
        stats = db.stats()
    hint_to_compact(stats, arguments, console)


def compact(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.to or arguments.file, console),
        mvdb.open(arguments.file, create=False, readonly=arguments.to is not None) as db,
    ):
        if arguments.to is None:
            wait_for_writers(db, arguments, console)
        with progress(console, "compacting") as update:
            db.compact(arguments.to, progress=partial(update, note="bytes"))


def backup(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.destination, console),
        mvdb.open(arguments.file, create=False) as db,
        progress(console, "copying") as update,
    ):
        db.backup(arguments.destination, progress=partial(update, note="bytes"))


@contextmanager
def _rewriting(source: Path, result: Path, console: Console) -> Iterator[None]:
    """Reports the time that the block takes to make `result` of `source`, and the file sizes."""
    started, before = time.monotonic(), source.stat().st_size
    yield
    seconds, after = time.monotonic() - started, result.stat().st_size
    value = {"bytes_before": before, "file_bytes": after, "seconds": round(seconds, 3)}
    text = f"{result}: {size(before)} -> {size(after)}, {seconds:.1f} s"
    console.summary(text, {"file": str(result), **value})


def repair(arguments: argparse.Namespace, console: Console) -> None:
    with progress(console, "repairing") as update:
        outcome = mvdb.repair(
            arguments.source, arguments.destination, progress=partial(update, note="documents")
        )
    text = f"{arguments.destination}: {count(outcome.recovered, 'document')} recovered"
    text += f" ({outcome.texts_lost:,} without their text)" if outcome.texts_lost else ""
    weights = f" ({outcome.weights_lost:,} without their sparse vectors)"
    text += weights if outcome.weights_lost else ""
    text += f", {outcome.lost:,} lost"
    lost = ", ".join(map(repr, outcome.collections_lost))
    text += f"; lost as a whole: collections {lost}" if lost else ""
    console.summary(text, {"file": str(arguments.destination), **outcome.to_dict()})
