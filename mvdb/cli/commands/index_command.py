"""``mvdb index``: files, folders and JSONL into a database."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_encoder,
    add_file,
    positive,
)
from mvdb.cli.console import Console
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.records import index_records, read_jsonl
from mvdb.cli.indexing.sync import FileSync
from mvdb.cli.indexing.target import Target
from mvdb.cli.progress import progress

STDIN = Path("-")

_ABOUT = """\
Cuts files of text, code and documents into passages and stores them; what is binary, hidden or
named by .gitignore is left out. Run it again after changes: unchanged files are skipped, changed
ones replaced. After an interruption, run the same command again; it resumes. SRC may be - for
JSON lines {"id"?, "text", "metadata"?} on standard input."""
_PRUNE = "remove the passages of files that are gone from the folders among SRC"
_NO_IGNORE = "take what .gitignore and .ignore name, and folders like node_modules and venv"
_HIDDEN = "take files and folders whose names begin with a dot"
_KEEP = "keep the passages of a file that can no longer be read"
_BITS = "bits per dimension, for a new file (default 2) or collection"
_MAX_SIZE = "skip files larger than this (default 16)"


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "index", run, "store files, folders or JSON lines", _ABOUT)
    parser.add_argument("sources", metavar="SRC", type=Path, nargs="+", help="file, folder or -")
    add_file(parser, "the database; made if it is not there")
    add_collection(parser, "a collection of the file, made if it is not there")
    parser.add_argument("--prune", action="store_true", help=_PRUNE)
    parser.add_argument("--no-ignore", action="store_true", help=_NO_IGNORE)
    parser.add_argument("--hidden", action="store_true", help=_HIDDEN)
    parser.add_argument("--keep-unreadable", action="store_true", help=_KEEP)
    add_encoder(parser)
    parser.add_argument("--bits", type=int, choices=(1, 2, 4, 8, 16), help=_BITS)
    parser.add_argument("--max-size", metavar="MIB", type=positive, default=16, help=_MAX_SIZE)


def run(arguments: argparse.Namespace, console: Console) -> None:
    sources, file = arguments.sources, arguments.file
    _check(sources, file)
    counts = Counts()
    with closing(Target(file, arguments.encoder, arguments.bits, arguments.collection)) as target:
        try:
            with progress(console, "indexing") as update:
                files = [source for source in sources if source != STDIN]
                sync = FileSync(
                    target,
                    console,
                    counts,
                    arguments.max_size << 20,
                    ignore=not arguments.no_ignore,
                    hidden=arguments.hidden,
                    keep_unreadable=arguments.keep_unreadable,
                )
                sync.index(files, update)
                if arguments.prune:
                    sync.prune(files)
                if STDIN in sources:
                    records = read_jsonl(sys.stdin.buffer, "standard input")
                    index_records(target, records, counts, update)
        except KeyboardInterrupt:
            console.warn("what was stored so far stays; the same command goes on from there")
            raise
        counts.tokens = target.tokens
        target.finish()
    console.summary(counts.as_text(file), counts.as_json(file))
    if left_out := counts.left_out():
        console.warn(left_out)
    if counts.failures:
        path, reason = counts.failures[0]
        others = f", and {len(counts.failures) - 1:,} more" if len(counts.failures) > 1 else ""
        raise ValueError(f"could not be read: {path}{others} ({reason}); the rest is stored")


def _check(sources: list[Path], file: Path) -> None:
    """Refuses sources and a database that cannot be meant, before anything is written."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder: the database comes last (mvdb index SRC... FILE)")
    for source in sources:
        if source != STDIN and not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder; nothing was indexed")
        if source != STDIN and file.exists() and source.samefile(file):
            raise ValueError(f"{file} is the database and cannot be a source too")
