"""Texts of a file beside the vectors of an index that has none: `mvdb import --texts`.

The texts are put into a temporary SQLite table, so that memory stays bounded whatever their order.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.importers.choices import IDS, TEXTS, Choices, roles
from mvdb.importers.json_records import MAX_LINE
from mvdb.importers.jsonl_file import records
from mvdb.importers.plaid_index import PLAID_KINDS
from mvdb.importers.source import Source

_ASKED = 500


def with_texts(source: Source, path: Path) -> Source:
    """The source with the texts of a file, by id; a passage number is found by its digits.

    path: JSON lines with `id` or `_id`, `text` and further fields, which become metadata (or with
    `metadata`); or a .tsv file of ColBERT's collections: id, text and, optionally, title. A
    document without an entry has no text. Raises InvalidInputError for a malformed line, as soon
    as the batches are asked for."""
    if source.kind not in PLAID_KINDS:
        raise InvalidInputError(f"texts: a source of the kind {source.kind} has texts of its own")
    joined = replace(source, batches=lambda: _joined(source, joined, path))
    return joined


def _joined(source: Source, joined: Source, path: Path) -> Iterator[dict[str, Any]]:
    with (
        tempfile.TemporaryDirectory(prefix="mvdb-import-") as folder,
        closing(sqlite3.connect(Path(folder) / "texts.sqlite")) as table,
    ):
        table.execute("PRAGMA journal_mode = OFF")
        table.execute("PRAGMA synchronous = OFF")
        table.execute("CREATE TABLE texts (id TEXT PRIMARY KEY, text TEXT, metadata TEXT)")
        table.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?, ?)", _entries(path))
        for batch in source.batches():
            found = _found(table, [str(id) for id in batch["ids"]])
            pairs = [found.get(str(id), (None, None)) for id in batch["ids"]]
            added = [{} if one is None else json.loads(one) for _, one in pairs]
            metadata = [
                {**(old or {}), **new} or None
                for old, new in zip(batch["metadata"], added, strict=True)
            ]
            joined.skipped = source.skipped
            yield {**batch, "texts": [text for text, _ in pairs], "metadata": metadata}
        joined.skipped = source.skipped


def _found(table: sqlite3.Connection, ids: list[str]) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for start in range(0, len(ids), _ASKED):
        some = ids[start : start + _ASKED]
        marks = ",".join("?" * len(some))
        query = f"SELECT id, text, metadata FROM texts WHERE id IN ({marks})"
        found.update((id, (text, metadata)) for id, text, metadata in table.execute(query, some))
    return found


def _entries(path: Path) -> Iterator[tuple[str, str, str | None]]:
    """Id, text and metadata (JSON) of each line."""
    if path.suffix.lower() == ".tsv":
        yield from _tsv(path)
        return
    for record in records(path):
        fields = roles(record.fields, Choices(), record.where, same_fields=False)
        id = record.id(fields.id or IDS[0])
        text = record.text(fields.text or TEXTS[0], is_needed=True)
        metadata = record.metadata(fields)
        yield str(id), str(text), json.dumps(metadata) if metadata else None


def _tsv(path: Path) -> Iterator[tuple[str, str, str | None]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            try:
                parts = line.decode("utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError:
                parts = []
            if len(parts) not in (2, 3) or len(line) > MAX_LINE:
                raise InvalidInputError(
                    f"{path}: line {number}: an id, a text and at most a title are needed, with "
                    "tabs between"
                )
            title = json.dumps({"title": parts[2]}) if len(parts) == 3 else None
            yield parts[0], parts[1], title
