"""JSON lines: a record each, as `mvdb export` writes them or with fields of other names."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import zstandard
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError
from mvdb.importers.choices import METADATA, TEXTS, Choices, Roles, roles
from mvdb.importers.source import BATCH_BYTES, Source

MAX_LINE = 1 << 28
"""Bytes of a line: 256 MiB, a million numbers of a vector take about 20 MiB."""
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
    number, record, _ = first
    fields = roles(record, choices, f"{path}: line {number}", same_fields=False)
    if fields.text is None:
        fields = replace(fields, text=TEXTS[0])  # later records may have one
    dim = None
    if fields.vectors is not None:
        dim = _matrix(record.get(fields.vectors), path, number).shape[1]
    return Source("jsonl", dim, None, lambda: _batches(path, fields), tenants=bool(fields.tenant))


def _batches(path: Path, fields: Roles) -> Iterator[dict[str, Any]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row, (number, record, length) in enumerate(records(path)):
        batch.append(_document(record, fields, path, number, row))
        size += length
        if len(batch) == _RECORDS or size >= _BATCH_LINES:
            yield _arguments(batch)
            batch, size = [], 0
    if batch:
        yield _arguments(batch)


def _arguments(batch: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [one[name] for one in batch] for name in batch[0]}


def _document(
    record: dict[str, Any], fields: Roles, path: Path, number: int, row: int
) -> dict[str, Any]:
    """The arguments of insert for a record, each without the plural."""
    where = f"{path}: line {number}"
    document: dict[str, Any] = {"ids": row}
    if fields.id is not None:
        document["ids"] = id = record.get(fields.id)
        if isinstance(id, bool) or not isinstance(id, (str, int)):
            raise InvalidInputError(f"{where}: {fields.id!r}: a string or an integer is needed")
    if fields.vectors is not None:
        document["embeddings"] = _matrix(record.get(fields.vectors), path, number)
    if fields.text is not None:
        document["texts"] = text = record.get(fields.text)
        if not isinstance(text, (str, type(None))):
            raise InvalidInputError(f"{where}: {fields.text!r}: a string is needed")
    if METADATA in record and not fields.others:
        metadata = record[METADATA]
        if not isinstance(metadata, (dict, type(None))):
            raise InvalidInputError(f"{where}: {METADATA!r}: an object is needed")
    else:
        metadata = {name: record[name] for name in fields.metadata_names(record)} or None
    document["metadata"] = metadata
    if fields.tenant is not None:
        document["tenant"] = tenant = record.get(fields.tenant)
        if not isinstance(tenant, str):
            raise InvalidInputError(f"{where}: {fields.tenant!r}: a string is needed")
    return document


def _matrix(value: Any, path: Path, number: int) -> NDArray[np.float32]:
    try:
        matrix = np.array(value, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        matrix = np.empty(0, np.float32)
    if matrix.ndim != 2 or not matrix.size:
        raise InvalidInputError(
            f"{path}: line {number}: the token vectors are no list of vectors of one length"
        )
    return matrix


def records(path: Path) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Number of the line, record, and length of each line that is not blank."""
    with _opened(path) as file:
        for number in count(1):
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE:
                raise InvalidInputError(f"{path}: line {number}: longer than {MAX_LINE:,} bytes")
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InvalidInputError(f"{path}: line {number}: not JSON ({error})") from None
            if not isinstance(record, dict):
                raise InvalidInputError(f"{path}: line {number}: a JSON object is needed")
            yield number, record, len(line)


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
