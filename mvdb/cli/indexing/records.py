"""Records with ids of their own into a database: JSONL, and the demo's docstrings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import BinaryIO

import xxhash

import mvdb
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.target import BATCH, Record, Target
from mvdb.cli.progress import Update
from mvdb.importers.choices import IDS, TEXTS, Choices, roles
from mvdb.importers.json_records import json_records

_TEXT = TEXTS[0]


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


def read_jsonl(file: BinaryIO, name: str) -> Iterator[Record]:
    """Records from JSON lines with the fields of `mvdb import`; vectors are left out.

    Without an id, a record goes by the hash of its text, so the same text is stored once.
    mvdb.InvalidInputError names the first line that is no record."""
    for record in json_records(file, name):
        text = record.text(_TEXT, is_needed=True) or ""
        fields = roles(record.fields, Choices(), record.where, same_fields=False)
        if fields.tenant is not None:
            raise mvdb.InvalidInputError(
                f"{record.where}: {fields.tenant!r}: mvdb import stores the documents of tenants"
            )
        has_id = fields.id is not None and record.fields[fields.id] is not None
        id = record.id(fields.id or IDS[0]) if has_id else _id_of(text)
        yield Record(id, text, record.metadata(fields) or {})


def _id_of(text: str) -> str:
    return "text-" + xxhash.xxh3_64_hexdigest(text.encode())
