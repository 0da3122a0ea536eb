"""``mvdb index``: files, folders and JSONL into a database."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from mvdb import folders
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_encoder,
    add_file,
    add_timeout,
    natural,
    positive,
)
from mvdb.cli.console import Console, count, duration
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.records import index_records, read_jsonl
from mvdb.cli.indexing.target import Target
from mvdb.cli.progress import Update, progress
from mvdb.cli.shown_paths import from_here
from mvdb.cli.waiting import wait_for_writers
from mvdb.reading import Cutting
from mvdb.reading.unreadable import FAILED

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
_INCLUDE = "only files whose path below SRC matches this pattern of gitignore; may be repeated"
_EXCLUDE = "not those; may be repeated"
_ROOT = "store paths relative to this folder (default: the one that holds SRC)"
_DEDUPE = "leave out passages that are nearly the same as stored ones"
_SIZE = "words from which on a passage ends at the next paragraph (default 120)"
_OVERLAP = "words of a passage that the next one repeats, at most half of --size (default 0)"
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
    parser.add_argument("--include", metavar="GLOB", action="append", help=_INCLUDE)
    parser.add_argument("--exclude", metavar="GLOB", action="append", help=_EXCLUDE)
    parser.add_argument("--root", metavar="DIR", type=Path, help=_ROOT)
    parser.add_argument("--size", metavar="WORDS", type=positive, help=_SIZE)
    parser.add_argument("--overlap", metavar="WORDS", type=natural, help=_OVERLAP)
    parser.add_argument("--dedupe", action="store_true", help=_DEDUPE)
    add_encoder(parser)
    parser.add_argument("--bits", type=int, choices=(1, 2, 4, 8, 16), help=_BITS)
    add_timeout(parser)
    parser.add_argument("--max-size", metavar="MIB", type=positive, default=16, help=_MAX_SIZE)


def run(arguments: argparse.Namespace, console: Console) -> None:
    sources, file = arguments.sources, arguments.file
    _check(sources, file)
    counts = Counts()
    with closing(Target(file, arguments.encoder, arguments.bits, arguments.collection)) as target:
        wait_for_writers(target.db, arguments, console)
        with progress(console, "indexing") as update:
            _sync(target, arguments, counts, console, update)
            if STDIN in sources:
                records = read_jsonl(sys.stdin.buffer, "standard input")
                index_records(target, records, counts, update)
        if counts.tokens or counts.files.tokens:
            target.finish()
    _warn(console, counts)
    console.summary(counts.as_text(file), counts.as_json(file))
    if left_out := counts.left_out():
        console.warn(left_out)
    if failures := counts.files.failures:
        first, failed = failures[0], counts.files.failed
        others = f", and {failed - 1:,} more" if failed > 1 else ""
        files = f"{from_here(first.path)}{others} ({first.reason})"
        raise ValueError(f"could not be read: {files}; the rest is stored")


def _sync(
    target: Target,
    arguments: argparse.Namespace,
    counts: Counts,
    console: Console,
    update: Update,
) -> None:
    """Files and folders, if there are any."""
    files = [source for source in arguments.sources if source != STDIN]
    if not files:
        return
    last = folders.Progress("looking", 0, 0)

    def tell(progress: folders.Progress) -> None:
        nonlocal last
        last = progress
        update(progress.done, progress.total, note(progress))

    try:
        counts.files = folders.sync(
            target.db,
            files,
            include=arguments.include,
            exclude=arguments.exclude,
            encoder=target.encoder,
            prune=arguments.prune,
            progress=tell,
            root=arguments.root,
            ignore=not arguments.no_ignore,
            hidden=arguments.hidden,
            keep_unreadable=arguments.keep_unreadable,
            max_bytes=arguments.max_size << 20,
            cutting=_cutting(arguments),
            dedupe=arguments.dedupe,
        )
    except KeyboardInterrupt:
        console.warn(_left(last))
        raise


def _cutting(arguments: argparse.Namespace) -> Cutting | None:
    """The length of passages; None if none is asked for."""
    if arguments.size is None and arguments.overlap is None:
        return None
    size = arguments.size or Cutting().size
    return Cutting(size, size + size // 2, arguments.overlap or 0)


def note(progress: folders.Progress) -> str:
    """What is counted, and how long the rest takes."""
    if progress.step != "encoding":
        return {"looking": "files looked at", "reading": "changed files read"}[progress.step]
    left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
    return f"passages, {progress.per_second:.0f}/s{left}"


def _left(progress: folders.Progress) -> str:
    """What is known to be stored; an interruption may come between a commit and its report."""
    stored = "what was stored so far stays"
    if progress.step == "encoding":
        stored = f"at least {progress.done:,} of {count(progress.total, 'passage')} are stored"
    return f"{stored}; the same command goes on from there"


def _warn(console: Console, counts: Counts) -> None:
    """Says what is odd about single files; what is left out by its kind is counted alone."""
    for one in counts.files.refusals:
        if one.kind == FAILED:
            console.warn(f"{from_here(one.path)}: {one.reason}")
        elif one.kind != "link" and one.kind != "no ending" and not one.kind.startswith("."):
            console.warn(f"{from_here(one.path)}: skipped: {one.reason}")
    for path, reading in counts.files.notes:
        console.warn(f"{from_here(path)}: {reading}")


def _check(sources: list[Path], file: Path) -> None:
    """Refuses sources and a database that cannot be meant, before anything is written."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder: the database comes last (mvdb index SRC... FILE)")
    for source in sources:
        # Where there is a database, its passages of a source that is gone may be pruned.
        if source != STDIN and not os.path.lexists(source) and not file.exists():
            raise FileNotFoundError(f"{source}: no such file or folder; nothing was indexed")
        if source.exists() and file.exists() and source.samefile(file):
            raise ValueError(f"{file} is the database and cannot be a source too")
