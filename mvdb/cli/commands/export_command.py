"""``mvdb export``: all documents as JSON lines or as a Parquet file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import mvdb
from mvdb.cli.chosen import chosen
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_file,
    add_tenant,
)
from mvdb.cli.console import Console, count, size
from mvdb.cli.progress import Update, progress
from mvdb.importers import ParquetWriter

_JSONL, _PARQUET = "jsonl", "parquet"
_WEIGHTS = (
    "the sparse vectors of the documents are not exported, so a copy made of the export does not "
    "find them by sparse=; mvdb backup copies everything"
)
_EXPORTED = 256  # documents read at once


class _Batch(NamedTuple):
    """Documents of one tenant; vectors: theirs, or None."""

    documents: list[mvdb.Document]
    vectors: list[Any] | None
    tenant: str | None


def add_parsers(commands: Commands) -> None:
    about = "print every document as a line of JSON: id, text, metadata; or write a file"
    parser = add_command(commands, "export", export, about)
    add_file(parser)
    help = "write there, not to standard output; must not exist; .parquet: a Parquet file"
    parser.add_argument("destination", metavar="DST", type=Path, nargs="?", help=help)
    help = "format (default: by the ending of DST, else jsonl)"
    parser.add_argument("--to", choices=(_JSONL, _PARQUET), help=help)
    add_tenant(parser)
    help = "the documents of all tenants, each with its tenant"
    parser.add_argument("--all-tenants", action="store_true", help=help)
    add_collection(parser)
    parser.add_argument("--vectors", action="store_true", help="with the stored token vectors")


def export(arguments: argparse.Namespace, console: Console) -> None:
    destination: Path | None = arguments.destination
    kind = arguments.to or _kind(destination)
    if arguments.all_tenants and arguments.tenant is not None:
        raise ValueError("--all-tenants, --tenant: give one of them")
    if destination is None and kind == _PARQUET:
        raise ValueError("--to parquet: name the file to write: mvdb export FILE DST.parquet")
    with (
        chosen(arguments, readonly=True) as db,
        db.snapshot() as snapshot,
        progress(console, "exporting") as update,
    ):
        if db.stats().bytes["weights"]:
            console.warn(_WEIGHTS)
        if destination is None:
            lines = Console(as_json=True, quiet=arguments.quiet)
            for batch in _batches(snapshot, arguments):
                for line in _lines(batch):
                    lines.json(line)
            return
        with _new_file(destination) as path:
            written = _write(kind, path, snapshot, arguments, update)
    bytes = os.path.getsize(destination)
    value = {"file": str(destination), "documents": written, "file_bytes": bytes}
    console.summary(f"{destination}: {count(written, 'document')}, {size(bytes)}", value)


def _write(
    kind: str,
    path: Path,
    snapshot: mvdb.Snapshot,
    arguments: argparse.Namespace,
    update: Update,
) -> int:
    """Writes all documents to a file and returns their number."""
    total, done = len(snapshot) if arguments.tenant is None else None, 0
    batches = _batches(snapshot, arguments)
    if kind == _JSONL:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for batch in batches:
                file.writelines(
                    json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
                    for line in _lines(batch)
                )
                done += len(batch.documents)
                update(done, total, "")
        return done
    types = {
        type(id) for tenant in _tenants(snapshot, arguments) for id in snapshot.ids(tenant=tenant)
    }
    dim = snapshot.dim if arguments.vectors else None
    with ParquetWriter(path, dim=dim, id_types=types, tenants=arguments.all_tenants) as writer:
        for documents, vectors, tenant in batches:
            writer.write(
                [one.id for one in documents],
                [one.text for one in documents],
                [_json(one.metadata) for one in documents],
                vectors,
                tenant if arguments.all_tenants else None,
            )
            done += len(documents)
            update(done, total, "")
    return done


def _tenants(snapshot: mvdb.Snapshot, arguments: argparse.Namespace) -> list[str | None]:
    return list(snapshot.tenants()) if arguments.all_tenants else [arguments.tenant]


def _batches(snapshot: mvdb.Snapshot, arguments: argparse.Namespace) -> Iterator[_Batch]:
    for tenant in _tenants(snapshot, arguments):
        ids = iter(snapshot.ids(tenant=tenant))
        while some := list(islice(ids, _EXPORTED)):
            vectors = snapshot.vectors(some, tenant=tenant) if arguments.vectors else None
            documents = [one for one in snapshot.get(some, tenant=tenant) if one is not None]
            yield _Batch(documents, vectors, tenant if arguments.all_tenants else None)


def _lines(batch: _Batch) -> Iterator[dict[str, Any]]:
    for number, document in enumerate(batch.documents):
        line = document.to_dict()
        del line["n_tokens"]
        if batch.tenant is not None:
            line["tenant"] = batch.tenant
        if batch.vectors is not None:
            line["vectors"] = batch.vectors[number].tolist()
        yield line


def _json(metadata: Any) -> str | None:
    if metadata is None:
        return None
    return json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"))


def _kind(destination: Path | None) -> str:
    return _PARQUET if destination and destination.suffix.lower() == ".parquet" else _JSONL


@contextmanager
def _new_file(destination: Path) -> Iterator[Path]:
    """A path to write to, which becomes `destination` at the end of the block, or vanishes."""
    if destination.exists():
        raise FileExistsError(f"{destination}: there is such a file; nothing was exported")
    partial = destination.with_name(f"{destination.name}.partial")
    try:
        yield partial
        os.replace(partial, destination)
    finally:
        partial.unlink(missing_ok=True)
