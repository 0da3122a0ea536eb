"""``mvdb info``: numbers about a database."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.commands.options import Commands, add_file, add_json
from mvdb.cli.console import Console, one_line, size


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "info", parents=[common], help="numbers about a database", description=__doc__
    )
    add_file(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    with mvdb.open(arguments.file, readonly=True) as db:
        stats = db.stats()
    console.result(_as_json(arguments.file, stats), _as_text(arguments.file, stats))
    return 0


def _as_json(file: Path, stats: mvdb.Stats) -> dict[str, Any]:
    return {
        "file": str(file),
        "documents": stats.documents,
        "tokens": stats.tokens,
        "dim": stats.dim,
        "bits": stats.bits,
        "encoder": stats.encoder,
        "segments": stats.segments,
        "centroids": stats.centroids,
        "trained_tokens": stats.trained_tokens,
        "deleted_share": stats.deleted_share,
        "drift": stats.drift,
        "bytes": dict(stats.bytes),
        "file_bytes": stats.file_bytes,
        "maintenance_error": stats.maintenance_error,
    }


def _as_text(file: Path, stats: mvdb.Stats) -> str:
    centroids = f"{stats.centroids:,} (of {stats.trained_tokens:,} tokens)"
    rows = [
        ("file", f"{file} {size(stats.file_bytes)}"),
        ("documents", f"{stats.documents:,}"),
        ("tokens", f"{stats.tokens:,}"),
        ("dim", str(stats.dim)),
        ("bits", str(stats.bits)),
        ("encoder", stats.encoder or "none: vectors were given"),
        ("segments", f"{stats.segments:,}"),
        ("centroids", centroids if stats.centroids else "none yet: searched exactly"),
        ("deleted", f"{stats.deleted_share:.1%}"),
        ("drift", f"{stats.drift:.3f}"),
        *((f"  {part}", size(number)) for part, number in stats.bytes.items() if number),
    ]
    if stats.maintenance_error is not None:
        rows.append(("failed", one_line(stats.maintenance_error)))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)
