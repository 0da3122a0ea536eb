"""``mvdb demo``: indexes the docstrings of Python's standard library and asks a few questions."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.commands.grammar import Commands, add_command, add_encoder, positive
from mvdb.cli.commands.search_command import as_json, search
from mvdb.cli.console import BOLD, PLAIN, Console, count, one_line, size
from mvdb.cli.display import Result
from mvdb.cli.encoder_choice import load_encoder
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.records import index_records
from mvdb.cli.indexing.target import Target
from mvdb.cli.progress import progress
from mvdb.cli.stdlib import stdlib_records
from mvdb.encoders import Encoder

_DEFAULT_FILE = Path(".demo", "stdlib.mvdb")
_RESULTS = 3
_ABOUT = (
    "Indexes the docstrings of Python's standard library and answers a few questions, or yours."
)
QUESTIONS = (
    "How do I measure how long a small piece of code takes?",
    "open a web page in the browser",
    "cache the results of a function",
    "find the longest common part of two strings",
    "ask for a password without showing it on the screen",
    "the middle value of a list of numbers",
    "copyfileobj",
    '"leap years"',
)


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "demo", run, "try it on Python's own documentation", _ABOUT)
    help = "your own questions instead of the demo's"
    parser.add_argument("questions", metavar="QUESTION", nargs="*", help=help)
    help = f"the demo's database; used again by the next run (default {_DEFAULT_FILE})"
    parser.add_argument("--file", type=Path, default=_DEFAULT_FILE, help=help)
    help = "index only N docstrings, spread evenly"
    parser.add_argument("--limit", type=positive, metavar="N", help=help)
    add_encoder(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    started = time.monotonic()
    file, counts = arguments.file, Counts()
    file.parent.mkdir(parents=True, exist_ok=True)
    _index(arguments, console, counts)
    encoder = load_encoder(arguments.encoder)
    with mvdb.open(file, readonly=True, encoder=encoder) as db:
        # The first call of a model prepares itself; that is not the time a question takes.
        encoder.encode_queries(["warm up"])
        questions = arguments.questions or QUESTIONS
        answers = [_answer(db, encoder, question, console) for question in questions]
        stats = db.stats()
    if console.as_json:
        answered = {"documents": stats.documents, "questions": answers}
        console.json(counts.as_json(file) | answered)
    seconds = time.monotonic() - started
    console.summary(f"\n{file}: {size(stats.file_bytes)}, {seconds:.0f} s in all. Ask it more:")
    console.summary(f'  mvdb search {file} "split a path into folder and name"')


def _index(arguments: argparse.Namespace, console: Console, counts: Counts) -> None:
    records = list(stdlib_records())
    if arguments.limit and arguments.limit < len(records):
        # Spread evenly, so that a part of the library is not missing altogether.
        picks = range(arguments.limit)
        records = [records[pick * len(records) // arguments.limit] for pick in picks]
    console.summary(f"{count(len(records), 'docstring')} of Python's standard library")
    with (
        closing(Target(arguments.file, arguments.encoder, None)) as target,
        progress(console, "indexing") as update,
    ):
        index_records(target, records, counts, update)
        if written := counts.written:
            target.db.compact()  # so that the size shown is that of the content
    if written:
        took = f"{counts.seconds:.1f} s, {counts.rate:.0f}/s"
        console.summary(f"indexed {written:,} ({count(counts.tokens, 'token')}) in {took}")
    else:
        console.summary(f"all in {arguments.file} from an earlier run")


def _answer(db: mvdb.Database, encoder: Encoder, question: str, console: Console) -> dict[str, Any]:
    results, seconds = search(db, encoder, question, _RESULTS)
    console.text(f"\n{BOLD}{one_line(question)}{PLAIN}  ({1000 * seconds:.0f} ms)")
    for result in results:
        console.text(_line(result, console.width))
    return {"question": question, **as_json(results, seconds)}


def _line(result: Result, width: int) -> str:
    """A hit in one line: score, name and the first words about it."""
    text = result.text or ""
    signature = text.startswith(("def ", "async def ", "class ")) and "\n\n" in text
    about = one_line(text.split("\n\n", 1)[1] if signature else text)
    line = f"  {result.rank}. {result.score:5.2f}  {one_line(str(result.id))}: {about}"
    return line if len(line) <= width else line[: width - 3].rstrip() + "..."
