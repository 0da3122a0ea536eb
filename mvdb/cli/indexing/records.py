"""Records with ids of their own into a database: JSONL, and the demo's docstrings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import xxhash

from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.target import BATCH, Id, Record, Target
from mvdb.cli.progress import Progress


class RecordError(ValueError):
    """A line of JSONL that is no record; the message names the line."""


def index_records(
    target: Target,
    records: Iterable[Record],
    counts: Counts,
    shown: Progress,
    total: int | None = None,
) -> None:
    """Stores records in batches, a transaction each; those that are there unchanged cost a look.

    Of records with one id the last is stored, and they count as one passage, however they fall into
    batches. So the same input given again after a kill goes on where it stopped."""
    source = iter(records)
    passages = _Passages(counts)
    done = 0
    while batch := list(islice(source, BATCH)):
        done += len(batch)
        latest = list({(type(record.id), record.id): record for record in batch}.values())
        changed = _changed(target, latest)
        if changed:
            target.write(changed)
        passages.add(latest, changed)
        shown.update(done, total, counts.note())


class _Passages:
    """Counts records by id: one that was written at least once as written, others as kept."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._written: dict[int, bool] = {}  # by the hash of the id: 64 bits do for counting

    def add(self, records: Sequence[Record], changed: Sequence[Record]) -> None:
        """Counts a batch, of which `changed` was written."""
        ids = {(type(record.id), record.id) for record in changed}
        for record in records:
            key = xxhash.xxh3_64_intdigest(f"{type(record.id).__name__} {record.id}".encode())
            before, now = self._written.get(key), (type(record.id), record.id) in ids
            self._written[key] = bool(before) or now
            self._counts.passages += now and not before
            self._counts.kept += (before is None and not now) - (before is False and now)


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

    Raises:
        RecordError: for the first line that is no record."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _record(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise RecordError(f"{name}: line {number}: {error}") from error


def _record(value: Any) -> Record:
    if not isinstance(value, dict):
        raise ValueError('not a JSON object {"id"?, "text", "metadata"?}')
    text, metadata = value.get("text"), value.get("metadata")
    if not isinstance(text, str) or not text.strip():
        raise ValueError('"text" must be a string that is not blank')
    text.encode()  # JSON can write lone surrogates; UTF-8, in which texts are stored, cannot
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError('"metadata" must be an object')
    return Record(_id(value.get("id"), text), text, metadata or {})


def _id(value: Any, text: str) -> Id:
    if value is None:
        return "text-" + xxhash.xxh3_64_hexdigest(text.encode())
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError('"id" must be a string or an integer')
    return value
