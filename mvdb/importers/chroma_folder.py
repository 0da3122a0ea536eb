"""Texts and metadata of Chroma's persistent client, read without Chroma.

chroma.sqlite3 has `embeddings` (the number and id of each record of a segment),
`embedding_metadata` (its values by key; the text has the key `chroma:document`) and, since 1.5,
`embedding_metadata_array` (the elements of lists). Chroma has one vector for each record, so its
texts are encoded again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.importers.choices import Choices, chosen_table
from mvdb.importers.source import Source, present
from mvdb.importers.sqlite_file import read_only

_DOCUMENT = "chroma:document"
_RECORDS = 500
_MAX_TEXT = 1 << 24
_VALUES = "key, string_value, int_value, float_value, bool_value"
_SEGMENT = """
    SELECT segments.id, segments.collection FROM segments JOIN collections
    ON segments.collection = collections.id
    WHERE collections.name = ? AND segments.scope = 'METADATA'"""


def open_folder(folder: Path, choices: Choices) -> Source:
    """A collection: ids, texts and metadata. Records without a text are left out."""
    path = present(folder / "chroma.sqlite3", f"the Chroma folder {folder}")
    with read_only(path) as database:
        names = [name for (name,) in database.execute("SELECT name FROM collections")]
        name = chosen_table(names, choices.table, str(folder))
        segments = database.execute(_SEGMENT, (name,)).fetchall()
        if len(segments) != 1:
            raise InvalidInputError(
                f"{path}: collection {name!r}: {len(segments)} segments of metadata, not one"
            )
        ((segment, collection),) = segments
        _refuse_waiting(database, path, segment, collection)
        (total,) = database.execute(
            "SELECT count(*) FROM embeddings WHERE segment_id = ?", (segment,)
        ).fetchone()
        has_lists = database.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'embedding_metadata_array'"
        ).fetchone()
    tables = ["embedding_metadata", *(["embedding_metadata_array"] if has_lists else [])]
    source = Source("chroma", None, total, lambda: _batches(path, segment, tables, source))
    return source


def _refuse_waiting(
    database: sqlite3.Connection, path: Path, segment: str, collection: str
) -> None:
    """Refuses a collection with writes that Chroma has accepted, but not put into its tables."""
    applied = database.execute("SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (segment,))
    number = (applied.fetchone() or (0,))[0]
    if not isinstance(number, int):  # before 0.6: bytes, and no such delay
        return
    waiting = database.execute(
        "SELECT count(*) FROM embeddings_queue WHERE topic LIKE '%' || ? AND seq_id > ?",
        (collection, number),
    ).fetchone()
    if waiting[0]:
        raise InvalidInputError(
            f"{path}: {waiting[0]:,} writes wait for Chroma to apply them; open it with Chroma once"
        )


def _batches(
    path: Path, segment: str, tables: list[str], source: Source
) -> Iterator[dict[str, Any]]:
    source.skipped, after = 0, -1
    while True:
        with read_only(path) as database:
            rows = database.execute(
                "SELECT id, embedding_id FROM embeddings WHERE segment_id = ? AND id > ? "
                "ORDER BY id LIMIT ?",
                (segment, after, _RECORDS),
            ).fetchall()
            if not rows:
                return
            values = _values(database, path, [number for number, _ in rows], tables)
        after = rows[-1][0]
        ids, texts, metadata = [], [], []
        for number, id in rows:
            fields = values.get(number, {})
            text = fields.pop(_DOCUMENT, None)
            if not isinstance(text, str) or not text.strip():
                source.skipped += 1
                continue
            ids.append(id)
            texts.append(text)
            metadata.append(fields or None)
        if ids:
            yield {"ids": ids, "texts": texts, "metadata": metadata}


def _values(
    database: sqlite3.Connection, path: Path, numbers: list[int], tables: list[str]
) -> dict[int, dict[str, Any]]:
    """The metadata of records by their numbers, text included."""
    found: dict[int, dict[str, Any]] = {}
    marks = ",".join("?" * len(numbers))
    for table in tables:
        query = f"SELECT id, {_VALUES}, length(string_value) FROM {table} WHERE id IN ({marks})"
        for number, key, *given, length in database.execute(query, numbers):
            if length is not None and length > _MAX_TEXT:
                raise InvalidInputError(f"{path}: record {number}: {key!r:.80} is too long")
            fields = found.setdefault(number, {})
            if table.endswith("_array"):
                fields.setdefault(key, []).append(_value(given))
            else:
                fields[key] = _value(given)
    return found


def _value(given: list[Any]) -> Any:
    """A string, integer, float or bool, of four columns."""
    text, integer, number, flag = given
    if flag is not None:
        return bool(flag)
    return next((one for one in (text, integer, number) if one is not None), None)
