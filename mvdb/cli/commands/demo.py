"""``mvdb demo``: indexes the docstrings of Python's standard library and asks a few questions."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.commands.options import Commands, add_json, positive
from mvdb.cli.commands.search import search
from mvdb.cli.console import Console, count, one_line, size
from mvdb.cli.encoder_choice import HELP as ENCODER_HELP
from mvdb.cli.encoder_choice import load_encoder
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.records import index_records
from mvdb.cli.indexing.target import Target
from mvdb.cli.progress import progress
from mvdb.cli.results import Result
from mvdb.cli.stdlib import stdlib_records
from mvdb.encoders import Encoder

_DEFAULT_FILE = Path(".demo", "stdlib.mvdb")
_RESULTS = 3
_QUESTIONS = (
    "How do I measure how long a small piece of code takes?",
    "open a web page in the browser",
    "cache the results of a function",
    "find the longest common part of two strings",
    "ask for a password without showing it on the screen",
    "the middle value of a list of numbers",
)


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo", parents=[common], help="try it on Python's own documentation", description=__doc__
    )
    parser.add_argument(
        "questions", metavar="QUESTION", nargs="*", help="your own questions instead of the demo's"
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=_DEFAULT_FILE,
        help=f"the demo's database; used again by the next run (default {_DEFAULT_FILE})",
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="index only N docstrings, spread evenly"
    )
    parser.add_argument("--encoder", metavar="NAME", help=ENCODER_HELP)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    started = time.monotonic()
    file, counts = arguments.file, Counts()
    file.parent.mkdir(parents=True, exist_ok=True)
    _index(arguments, console, counts)
    stats, answers = _ask(arguments, console)
    if console.as_json:
        console.json(_as_json(file, counts, stats, answers))
    elif not console.quiet:
        total = time.monotonic() - started
        print(f"\n{file}: {size(stats.file_bytes)}, {total:.0f} s in all. Ask it more:")
        print(f'  mvdb search {file} "split a path into folder and name"')
    return 0


def _index(arguments: argparse.Namespace, console: Console, counts: Counts) -> None:
    records = list(stdlib_records())
    if arguments.limit and arguments.limit < len(records):
        # Spread evenly, so that a part of the library is not missing altogether.
        picks = range(arguments.limit)
        records = [records[pick * len(records) // arguments.limit] for pick in picks]
    _say(console, f"{count(len(records), 'docstring')} of Python's standard library")
    with (
        Target(arguments.file, arguments.encoder, None) as target,
        progress(console, "indexing") as shown,
    ):
        index_records(target, records, counts, shown, total=len(records))
        counts.tokens = target.tokens
        if counts.passages:
            target.db.compact()  # so that the size shown is that of the content
    if counts.passages:
        rate = counts.passages / max(counts.seconds, 0.001)
        _say(
            console,
            f"indexed {counts.passages:,} ({count(counts.tokens, 'token')}) in "
            f"{counts.seconds:.1f} s, {rate:.0f}/s",
        )
    else:
        _say(console, f"all in {arguments.file} from an earlier run")


def _ask(
    arguments: argparse.Namespace, console: Console
) -> tuple[mvdb.Stats, list[dict[str, Any]]]:
    answers: list[dict[str, Any]] = []
    encoder = load_encoder(arguments.encoder)
    with mvdb.open(arguments.file, readonly=True) as db:
        # The first call of a model prepares itself; that is not the time a question takes.
        encoder.encode_queries(["warm up"])
        for question in arguments.questions or _QUESTIONS:
            answers.append(_answer(db, encoder, question, console))
        return db.stats(), answers


def _answer(db: mvdb.Database, encoder: Encoder, question: str, console: Console) -> dict[str, Any]:
    started = time.monotonic()
    results = search(db, encoder, question, _RESULTS)
    seconds = time.monotonic() - started
    if not console.as_json:
        bold, plain = ("\x1b[1m", "\x1b[0m") if console.styled else ("", "")
        console.styled_text(f"\n{bold}{one_line(question)}{plain}  ({1000 * seconds:.0f} ms)")
        for result in results:
            console.styled_text(_line(result, console.width))
    return {
        "question": question,
        "seconds": round(seconds, 4),
        "hits": [result.as_json() for result in results],
    }


def _line(result: Result, width: int) -> str:
    """A hit in one line: score, name and the first words about it."""
    text = result.text or ""
    signature = text.startswith(("def ", "async def ", "class ")) and "\n\n" in text
    about = one_line(text.split("\n\n", 1)[1] if signature else text)
    line = f"  {result.rank}. {result.score:5.2f}  {one_line(str(result.id))}: {about}"
    return line if len(line) <= width else line[: width - 3].rstrip() + "..."


def _say(console: Console, text: str) -> None:
    if not (console.as_json or console.quiet):
        print(text, flush=True)


def _as_json(
    file: Path, counts: Counts, stats: mvdb.Stats, answers: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        **counts.as_json(file),
        "documents": stats.documents,
        "questions": answers,
    }
