"""The commands that look after a file: verify, optimize, compact, backup, repair, delete."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import mvdb
from mvdb.cli.commands.options import Commands, add_file, add_json
from mvdb.cli.console import Console, count, size
from mvdb.cli.progress import progress

_PROBLEMS_SHOWN = 20


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    def add(
        name: str, help: str, run: Callable[[argparse.Namespace, Console], int]
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=help, description=help[0].upper() + help[1:] + "."
        )
        if name != "repair":
            add_file(parser)
        add_json(parser)
        parser.set_defaults(run=run)
        return parser

    parser = add("verify", "check every block of a database; exit code 1 if it is damaged", verify)
    parser.add_argument("--shallow", action="store_true", help="leave out vectors and texts")
    add("optimize", "train and merge what is due, drop deleted data (never needed)", optimize)
    parser = add("compact", "rewrite a database to the smallest file", compact)
    parser.add_argument("--to", metavar="DST", type=Path, help="write there instead of in place")
    parser = add("backup", "copy a database, which may be in use, consistently", backup)
    parser.add_argument("destination", metavar="DST", type=Path, help="the copy; must not exist")
    parser = add("repair", "salvage what is sound in a damaged database into a new file", repair)
    parser.add_argument("source", metavar="SRC", type=Path, help="the damaged file; not changed")
    parser.add_argument("destination", metavar="DST", type=Path, help="the new file")
    parser = add("delete", "delete documents by their ids", delete)
    parser.add_argument("ids", metavar="ID", nargs="+", help="ids that are not there are ignored")
    parser.add_argument("--integers", action="store_true", help="the ids are integers, not strings")


def verify(arguments: argparse.Namespace, console: Console) -> int:
    with mvdb.open(arguments.file, readonly=True) as db:
        report = db.verify(deep=not arguments.shallow)
    blocks = sum(report.blocks.values())
    value = {
        "file": str(arguments.file),
        "ok": report.ok,
        "problems": list(report.problems),
        "blocks": dict(report.blocks),
        "documents": report.documents,
        "tokens": report.tokens,
    }
    text = (
        f"{arguments.file}: ok: {count(blocks, 'block')}, "
        f"{count(report.documents, 'document')}, {count(report.tokens, 'token')}"
    )
    if not report.ok:
        text = "\n".join(report.problems[:_PROBLEMS_SHOWN])
        more = len(report.problems) - _PROBLEMS_SHOWN
        text += f"\n... and {more:,} more" if more > 0 else ""
    console.result(value, text)
    if not report.ok:
        problems = count(len(report.problems), "problem")
        console.error(f"{arguments.file}: {problems}; mvdb repair salvages what is sound")
    return 0 if report.ok else 1


def optimize(arguments: argparse.Namespace, console: Console) -> int:
    with (
        _Change(arguments.file, console) as change,
        mvdb.open(arguments.file, create=False) as db,
        progress(console, "optimizing") as shown,
    ):
        done = 0

        def step(name: str) -> None:
            nonlocal done
            done += 1
            shown.update(done, note=name)

        db.optimize(progress=step)
    change.report(arguments.file)
    return 0


def compact(arguments: argparse.Namespace, console: Console) -> int:
    with (
        _Change(arguments.file, console) as change,
        mvdb.open(arguments.file, create=False, readonly=arguments.to is not None) as db,
    ):
        db.compact(arguments.to)
    change.report(arguments.to or arguments.file)
    return 0


def backup(arguments: argparse.Namespace, console: Console) -> int:
    with (
        _Change(arguments.file, console) as change,
        mvdb.open(arguments.file, create=False) as db,
    ):
        db.backup(arguments.destination)
    change.report(arguments.destination)
    return 0


def repair(arguments: argparse.Namespace, console: Console) -> int:
    outcome = mvdb.repair(arguments.source, arguments.destination)
    value = {
        "file": str(arguments.destination),
        "recovered": outcome.recovered,
        "lost": outcome.lost,
        "texts_lost": outcome.texts_lost,
    }
    text = f"{arguments.destination}: {count(outcome.recovered, 'document')} recovered"
    text += f" ({outcome.texts_lost:,} without their text)" if outcome.texts_lost else ""
    text += f", {outcome.lost:,} lost"
    console.summary(value, text)
    return 0


def delete(arguments: argparse.Namespace, console: Console) -> int:
    ids: list[str | int] = list(dict.fromkeys(arguments.ids))
    if arguments.integers:
        ids = list(dict.fromkeys(map(_integer, arguments.ids)))
    with mvdb.open(arguments.file, create=False) as db:
        deleted = db.delete(ids)
    missing = len(ids) - deleted
    text = f"{count(deleted, 'document')} deleted" + (f", {missing:,} not found" if missing else "")
    value = {"file": str(arguments.file), "deleted": deleted, "not_found": missing}
    console.summary(value, text)
    return 0


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an integer") from None


class _Change:
    """Measures a command that writes a file anew: the time, and the sizes before and after."""

    def __init__(self, source: Path, console: Console) -> None:
        self._source = source
        self._console = console

    def __enter__(self) -> _Change:
        self._started = time.monotonic()
        self._before = self._source.stat().st_size
        return self

    def __exit__(self, *error: object) -> None:
        self._seconds = time.monotonic() - self._started

    def report(self, result: Path) -> None:
        after = result.stat().st_size
        value = {
            "file": str(result),
            "bytes_before": self._before,
            "file_bytes": after,
            "seconds": round(self._seconds, 3),
        }
        text = f"{result}: {size(self._before)} -> {size(after)}, {self._seconds:.1f} s"
        self._console.summary(value, text)
