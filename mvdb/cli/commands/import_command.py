"""``mvdb import``: documents of other engines and formats into a database."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import mvdb
from mvdb import importers
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_encoder,
    add_file,
    add_tenant,
    add_timeout,
)
from mvdb.cli.console import Console, count, size
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.cli.hints import is_database
from mvdb.cli.progress import progress
from mvdb.cli.waiting import wait_for_writers
from mvdb.encoders import Encoder

ENCODED = 512
"""Documents of a transaction while texts are encoded: so many are encoded again after a kill."""
_ABOUT = """\
Stores the documents of another engine's index or of a file: their ids, vectors, texts and metadata.
Documents whose id is there already are passed over; after an interruption, the same command goes
on."""


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "import", run, "store documents of other engines", _ABOUT)
    parser.add_argument("source", metavar="SRC", type=Path, help="the index, folder or file")
    add_file(parser, "the database; made if it is not there")
    kinds = importers.KINDS
    parser.add_argument("--from", dest="kind", choices=kinds, help="what SRC is (default: told)")
    help = "the table, collection or split of SRC, where it has several"
    parser.add_argument("--table", metavar="NAME", help=help)
    for name, usual in (("id", "id, _id"), ("text", "text"), ("vectors", "embeddings, vectors")):
        help = f"the field of SRC with the {name} (default: {usual})"
        parser.add_argument(f"--{name}", metavar="FIELD", help=help)
    help = "fields of SRC that become metadata, with commas between (default: all others)"
    parser.add_argument("--fields", metavar="NAMES", help=help)
    help = "texts for an index without them: JSON lines, or a .tsv file of id, text, title"
    parser.add_argument("--texts", metavar="TEXTS", type=Path, help=help)
    help = "encode the texts of SRC, and leave its vectors out"
    parser.add_argument("--encode", action="store_true", help=help)
    add_encoder(parser)
    add_collection(parser, "a collection of the file, made if it is not there")
    add_tenant(parser)
    help = "bits per dimension, for a new file or collection (default: as in SRC, else 2)"
    parser.add_argument("--bits", type=int, choices=(1, 2, 4, 8, 16), help=help)
    add_timeout(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    started = time.monotonic()
    fields = arguments.fields
    if is_database(arguments.source):
        raise ValueError(
            f"{arguments.source} is a database, which comes last: mvdb import SRC FILE "
            "(mvdb backup copies one)"
        )
    source = importers.open_source(
        arguments.source,
        arguments.kind,
        table=arguments.table,
        id=arguments.id,
        text=arguments.text,
        vectors=arguments.vectors,
        fields=None if fields is None else [one for one in fields.split(",") if one],
        encode=arguments.encode,
    )
    if arguments.texts is not None:
        source = importers.with_texts(source, arguments.texts)
    encoder = load_encoder(arguments.encoder) if source.dim is None else None
    if encoder is None and arguments.encoder is not None:
        raise ValueError("--encoder: SRC has vectors; --encode encodes its texts instead")
    batches = source.batches()
    first = list(_first(batches))  # a source at fault leaves no new file behind
    with _target(arguments, source, encoder) as db:
        wait_for_writers(db, arguments, console)
        before = len(db)
        try:
            with progress(console, "importing") as update:
                skipped = _insert(db, source, chain(first, batches), arguments, encoder, update)
        except KeyboardInterrupt:
            console.warn("what was stored so far stays; the same command goes on from there")
            raise
        done, documents = len(db) - before, len(db)
    seconds, bytes = time.monotonic() - started, os.path.getsize(arguments.file)
    value = {"file": str(arguments.file), "from": source.kind, "imported": done}
    value |= {"known": skipped, "left_out": source.skipped, "documents": documents}
    text = f"{count(done, 'document')} imported"
    text += f", {skipped:,} already there" if skipped else ""
    text += f", {source.skipped:,} left out, without vectors or text" if source.skipped else ""
    text += f", {seconds:.1f} s, {arguments.file} {size(bytes)}"
    console.summary(text, {**value, "seconds": round(seconds, 3), "file_bytes": bytes})


def _first(batches: Iterator[Any]) -> Iterator[Any]:
    batch = next(batches, None)
    if batch is not None:
        yield batch


def _insert(
    db: mvdb.Database,
    source: importers.Source,
    batches: Iterator[Any],
    arguments: argparse.Namespace,
    encoder: Encoder | None,
    update: Any,
) -> int:
    """Inserts all batches and returns the number of documents that were there already."""
    last = mvdb.InsertProgress(0)

    def report(now: mvdb.InsertProgress) -> None:
        nonlocal last
        last = now
        note = f"{now.documents_per_second:.0f}/s"
        update(int(now) + now.skipped, source.total, note)

    db.insert_batches(
        batches,
        tenant=arguments.tenant,
        commit_every=None if encoder is None else ENCODED,
        progress=report,
        total=source.total,
    )
    return last.skipped


@contextmanager
def _target(
    arguments: argparse.Namespace, source: importers.Source, encoder: Encoder | None
) -> Iterator[mvdb.Database]:
    """The database, or the collection, made where it is not there."""
    path, name, bits = arguments.file, arguments.collection, arguments.bits
    options: dict[str, Any] = {"dim": encoder.dim if encoder else source.dim}
    if bits is not None:
        options["bits"] = bits
    new = {} if bits or source.bits is None else {"bits": source.bits}
    # Of a file that is there, the argument is checked: without tenants in it, ids would meet.
    tenants: dict[str, Any] = {}
    if source.tenants or arguments.tenant is not None:
        tenants = {"tenants": True}
    if name is not None:
        dim = {} if path.exists() else {"dim": options["dim"]}
        with mvdb.open(path, **dim, **tenants) as file:
            if name not in file.collections():
                options |= new
            db = file.collection(name, encoder=encoder, **options)
            _check(encoder, db, path)
            yield db
        return
    if not path.exists():
        options |= new
    with mvdb.open(path, encoder=encoder, **options, **tenants) as db:
        _check(encoder, db, path)
        yield db


def _check(encoder: Encoder | None, db: mvdb.Database, path: Path) -> None:
    if encoder is not None:
        check_encoder(encoder, db.stats().encoder, path)
