"""Records with ids of their own into a database: JSONL, and the demo's docstrings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Any

import xxhash

from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.target import BATCH, Record, Target
from mvdb.cli.progress import Update


def index_records(
    target: Target, records: Iterable[Record], counts: Counts, update: Update
) -> None:
    """Stores records in batches, a transaction each; an unchanged record costs one look-up.

    Of records with one id the last is stored, and they count as one passage, however the records
    are cut into batches. After a kill, the same input therefore resumes."""
    source = iter(records)
    # Ids by their hash: for counting, 64 bits suffice.
    seen: set[int] = set()
    written: set[int] = set()
    done = 0
    while batch := list(islice(source, BATCH)):
        done += len(batch)
        latest = list({(type(record.id), record.id): record for record in batch}.values())
        changed = _changed(target, latest)
        if changed:
            counts.tokens += target.write(changed)
        seen |= _hashes(latest)
        written |= _hashes(changed)
        counts.written = len(written)
        counts.kept = len(seen) - len(written)
        update(done, length_hint(records) or None, counts.note())


def _hashes(records: list[Record]) -> set[int]:
    ids = (f"{type(record.id).__name__} {record.id}" for record in records)
    return {xxhash.xxh3_64_intdigest(id.encode()) for id in ids}


def _changed(target: Target, records: list[Record]) -> list[Record]:
    stored = target.db.get([record.id for record in records])
    return [
        record
        for record, document in zip(records, stored, strict=True)
        if document is None
        or document.text != record.text
        or dict(document.metadata or {}) != record.metadata
    ]


def read_jsonl(lines: Iterable[bytes], name: str) -> Iterator[Record]:
    """Records from lines ``{"id"?, "text", "metadata"?}``; blank lines are passed over.

    Without an id, a record goes by the hash of its text, so the same text is stored once.
    ValueError names the first line that is no record."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _record(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{name}: line {number}: {error}") from error


def _record(value: Any) -> Record:
    if not isinstance(value, dict):
        raise ValueError('not a JSON object {"id"?, "text", "metadata"?}')
    text, metadata, id = value.get("text"), value.get("metadata"), value.get("id")
    if not isinstance(text, str) or not text.strip():
        raise ValueError('"text" must be a string that is not blank')
    raw = text.encode()  # JSON can write lone surrogates; UTF-8, in which texts are stored, cannot
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError('"metadata" must be an object')
    if isinstance(id, bool) or not isinstance(id, (str, int, type(None))):
        raise ValueError('"id" must be a string or an integer')
    id = "text-" + xxhash.xxh3_64_hexdigest(raw) if id is None else id
    return Record(id, text, metadata or {})
