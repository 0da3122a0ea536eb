"""``mvdb info``: numbers about a database."""

from __future__ import annotations

import argparse

import mvdb
from mvdb.cli.commands.command_arguments import Commands, add_command, add_file
from mvdb.cli.console import Console, one_line, size


def add_parsers(commands: Commands) -> None:
    add_file(add_command(commands, "info", run, "numbers about a database"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    with mvdb.open(arguments.file, readonly=True) as db:
        stats = db.stats()
    centroids = f"{stats.centroids:,} (of {stats.trained_tokens:,} tokens)"
    rows = [
        ("file", f"{arguments.file} {size(stats.file_bytes)}"),
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
    text = "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)
    console.result({"file": str(arguments.file), **stats.to_dict()}, text)
