"""``mvdb index``: files, folders and JSONL into a database."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mvdb.cli.commands.options import Commands, add_file, add_json, positive
from mvdb.cli.console import Console
from mvdb.cli.encoder_choice import HELP as ENCODER_HELP
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.files import FileIndexer
from mvdb.cli.indexing.records import index_records, read_jsonl
from mvdb.cli.indexing.target import DEFAULT_BITS, Target
from mvdb.cli.progress import progress

STDIN = Path("-")

_ABOUT = """\
Cuts files (.txt .md .rst .py .html) into passages and stores them. Run it again after changes:
unchanged files are skipped, changed ones replaced. It can be interrupted, and goes on when it is
given again. SRC may be - for JSON lines {"id"?, "text", "metadata"?} on standard input."""


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "index", parents=[common], help="store files, folders or JSON lines", description=_ABOUT
    )
    parser.add_argument("sources", metavar="SRC", type=Path, nargs="+", help="file, folder or -")
    add_file(parser, "the database; made if it is not there")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove the passages of files that are gone from the folders among SRC",
    )
    parser.add_argument("--encoder", metavar="NAME", help=ENCODER_HELP)
    parser.add_argument(
        "--bits",
        type=int,
        choices=(1, 2, 4, 8, 16),
        help=f"bits per dimension, for a new file (default {DEFAULT_BITS})",
    )
    parser.add_argument(
        "--max-size",
        metavar="MIB",
        type=positive,
        default=16,
        help="skip files larger than this (default 16)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    sources, file = arguments.sources, arguments.file
    _check(sources, file)
    counts = Counts()
    with Target(file, arguments.encoder, arguments.bits) as target:
        try:
            with progress(console, "indexing") as shown:
                files = [source for source in sources if source != STDIN]
                indexer = FileIndexer(target, console, counts, arguments.max_size << 20)
                indexer.index(files, shown)
                if arguments.prune:
                    indexer.prune(files)
                if STDIN in sources:
                    records = read_jsonl(sys.stdin.buffer, "standard input")
                    index_records(target, records, counts, shown)
        except KeyboardInterrupt:
            console.warn("what was stored so far stays; the same command goes on from there")
            raise
        counts.tokens = target.tokens
    console.summary(counts.as_json(file), counts.as_text(file))
    return 0


def _check(sources: list[Path], file: Path) -> None:
    """Refuses what cannot be meant, before anything is written."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder: the database comes last (mvdb index SRC... FILE)")
    for source in sources:
        if source == STDIN:
            continue
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder; nothing was indexed")
        if file.exists() and source.samefile(file):
            raise ValueError(f"{file} is the database and cannot be a source too")
