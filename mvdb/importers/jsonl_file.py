"""Files of JSON lines, as `mvdb export` writes them or with fields of other names."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

from mvdb.errors import InvalidInputError
from mvdb.importers.choices import TEXTS, Choices, Roles, roles
from mvdb.importers.json_records import JsonRecord, json_records
from mvdb.importers.source import BATCH_BYTES, Source

_RECORDS = 1000
"""Records of a batch at most."""
_BATCH_LINES = BATCH_BYTES * 5
"""Bytes of the lines of a batch: JSON takes about five times the bytes of float32."""
_BUFFER, _PACKED = 1 << 20, 1 << 10
"""Bytes read at a time, plain and compressed. A KiB of zstd gives about 16 MiB at most."""
_WINDOW = 1 << 27
"""Bytes that a zstd frame may want as its window, at most."""


def open_file(path: Path, choices: Choices) -> Source:
    """A file of JSON lines; .gz and .zst are decompressed as they are read."""
    first = next(records(path), None)
    if first is None:
        raise InvalidInputError(f"{path}: there is no record in it")
    fields = roles(first.fields, choices, first.where, same_fields=False)
    if fields.text is None:
        fields = replace(fields, text=TEXTS[0])  # later records may have one
    dim = None if fields.vectors is None else first.vectors(fields.vectors).shape[1]
    batches = partial(_batches, path, fields, dim)
    return Source("jsonl", dim, None, batches, tenants=bool(fields.tenant))


def _batches(path: Path, fields: Roles, dim: int | None) -> Iterator[dict[str, Any]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row, record in enumerate(records(path)):
        batch.append(_document(record, fields, dim, row))
        size += record.length
        if len(batch) == _RECORDS or size >= _BATCH_LINES:
            yield _arguments(batch)
            batch, size = [], 0
    if batch:
        yield _arguments(batch)


def _arguments(batch: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [one[name] for one in batch] for name in batch[0]}


def _document(record: JsonRecord, fields: Roles, dim: int | None, row: int) -> dict[str, Any]:
    """The arguments of insert for a record, each without the plural."""
    document: dict[str, Any] = {"ids": row if fields.id is None else record.id(fields.id)}
    if fields.vectors is not None:
        document["embeddings"] = record.vectors(fields.vectors, dim)
    if fields.text is not None:
        is_encoded = fields.vectors is None
        document["texts"] = record.text(fields.text, is_needed=is_encoded)
    document["metadata"] = record.metadata(fields)
    if fields.tenant is not None:
        document["tenant"] = record.tenant(fields.tenant)
    return document


def records(path: Path) -> Iterator[JsonRecord]:
    """The record of each line that is not blank."""
    with _opened(path) as file:
        yield from json_records(file, str(path))


class _Zstd(io.RawIOBase):
    """The content of zstd frames; unlike zstandard's own reader it notices that the last one is
    cut off."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = self._next_frame()
        self._begun = False
        self._rest, self._ready = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame, self._begun = self._next_frame(), False
            given = self._rest or self._file.read(_PACKED)
            self._rest = b""
            if not given:
                if self._begun:
                    raise EOFError("cut off")
                return 0
            self._begun = True
            self._ready = self._frame.decompress(given)
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    @staticmethod
    def _next_frame() -> Any:
        return zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                with gzip.open(file) as plain:
                    yield cast(BinaryIO, plain)
            elif path.suffix == ".zst":
                yield io.BufferedReader(_Zstd(file), _BUFFER)
            else:
                yield file
    except (gzip.BadGzipFile, EOFError, zstandard.ZstdError) as error:
        raise InvalidInputError(f"{path}: cannot be decompressed ({error})") from None
