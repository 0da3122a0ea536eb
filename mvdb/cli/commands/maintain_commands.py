"""The commands that look after a file: verify, optimize, compact, backup, repair, delete."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as count_up
from pathlib import Path

import mvdb
from mvdb.cli.commands.command_arguments import Commands, Parser, Run, add_command, add_file
from mvdb.cli.console import Console, count, size
from mvdb.cli.progress import progress

_PROBLEMS_SHOWN = 20


def add_parsers(commands: Commands) -> None:
    def add(name: str, run: Run, help: str) -> Parser:
        parser = add_command(commands, name, run, help)
        if name != "repair":
            add_file(parser)
        return parser

    parser = add("verify", verify, "check every block of a database; exit code 1 if it is damaged")
    parser.add_argument("--shallow", action="store_true", help="leave out vectors and texts")
    add("optimize", optimize, "train and merge what is due, drop deleted data (never needed)")
    parser = add("compact", compact, "rewrite a database to the smallest file")
    parser.add_argument("--to", metavar="DST", type=Path, help="write there instead of in place")
    parser = add("backup", backup, "copy a database, which may be in use, consistently")
    parser.add_argument("destination", metavar="DST", type=Path, help="the copy; must not exist")
    parser = add("repair", repair, "salvage what is sound in a damaged database into a new file")
    parser.add_argument("source", metavar="SRC", type=Path, help="the damaged file; not changed")
    parser.add_argument("destination", metavar="DST", type=Path, help="the new file")
    parser = add("delete", delete, "delete documents by their ids")
    parser.add_argument("ids", metavar="ID", nargs="+", help="ids that are not there are ignored")
    parser.add_argument("--integers", action="store_true", help="the ids are integers, not strings")


def verify(arguments: argparse.Namespace, console: Console) -> None:
    with mvdb.open(arguments.file, readonly=True) as db:
        report = db.verify(deep=not arguments.shallow)
    text = (
        f"{arguments.file}: ok: {count(sum(report.blocks.values()), 'block')}, "
        f"{count(report.documents, 'document')}, {count(report.tokens, 'token')}"
    )
    if not report.ok:
        text = "\n".join(report.problems[:_PROBLEMS_SHOWN])
        more = len(report.problems) - _PROBLEMS_SHOWN
        text += f"\n... and {more:,} more" if more > 0 else ""
    console.result({"file": str(arguments.file), **report.to_dict()}, text)
    if not report.ok:
        problems = count(len(report.problems), "problem")
        raise mvdb.CorruptionError(
            f"{arguments.file}: {problems}; mvdb repair salvages what is sound"
        )


def optimize(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.file, console),
        mvdb.open(arguments.file, create=False) as db,
        progress(console, "optimizing") as update,
    ):
        steps = count_up(1)
        db.optimize(progress=lambda name: update(next(steps), note=name))


def compact(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.to or arguments.file, console),
        mvdb.open(arguments.file, create=False, readonly=arguments.to is not None) as db,
    ):
        db.compact(arguments.to)


def backup(arguments: argparse.Namespace, console: Console) -> None:
    with (
        _rewriting(arguments.file, arguments.destination, console),
        mvdb.open(arguments.file, create=False) as db,
    ):
        db.backup(arguments.destination)


@contextmanager
def _rewriting(source: Path, result: Path, console: Console) -> Iterator[None]:
    """Reports the time that the block takes to make `result` of `source`, and the file sizes."""
    started, before = time.monotonic(), source.stat().st_size
    yield
    seconds, after = time.monotonic() - started, result.stat().st_size
    value = {
        "file": str(result),
        "bytes_before": before,
        "file_bytes": after,
        "seconds": round(seconds, 3),
    }
    console.summary(value, f"{result}: {size(before)} -> {size(after)}, {seconds:.1f} s")


def repair(arguments: argparse.Namespace, console: Console) -> None:
    outcome = mvdb.repair(arguments.source, arguments.destination)
    text = f"{arguments.destination}: {count(outcome.recovered, 'document')} recovered"
    text += f" ({outcome.texts_lost:,} without their text)" if outcome.texts_lost else ""
    text += f", {outcome.lost:,} lost"
    console.summary({"file": str(arguments.destination), **outcome.to_dict()}, text)


def delete(arguments: argparse.Namespace, console: Console) -> None:
    ids = list(dict.fromkeys(map(_integer if arguments.integers else str, arguments.ids)))
    with mvdb.open(arguments.file, create=False) as db:
        deleted = db.delete(ids)
    missing = len(ids) - deleted
    text = f"{count(deleted, 'document')} deleted" + (f", {missing:,} not found" if missing else "")
    value = {"file": str(arguments.file), "deleted": deleted, "not_found": missing}
    console.summary(value, text)


def _integer(text: str) -> str | int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an integer") from None
