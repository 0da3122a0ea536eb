"""What an importer gives: a stream of batches, and what is known of it before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError, PathNotFoundError

BATCH_BYTES = 1 << 24
"""Bytes of float32 vectors in a batch, at most, unless one document has more."""
MAX_JSON_BYTES = 1 << 28
"""Of a JSON file that is read as a whole: 256 MiB, token counts of some 50 million documents."""


@dataclass
class Source:
    """Documents from elsewhere, for `Database.insert_batches`.

    Attributes:
        kind: the name of the format.
        dim: dimensions of the token vectors; None: there are none, an encoder has to make them.
        total: documents, where known.
        bits: bits per dimension that keep the vectors' quality; None: mvdb's default.
        tenants: whether documents name a tenant.
        batches: makes an iterator of mappings with arguments of `insert`, or of record batches.
        skipped: documents that were left out so far because they have no vectors or no id."""

    kind: str
    dim: int | None
    total: int | None
    batches: Callable[[], Iterator[Any]]
    bits: int | None = None
    tenants: bool = False
    skipped: int = 0


def present(path: Path, part_of: str) -> Path:
    """`path`, which has to be a file.

    Raises PathNotFoundError that names the file and what it is a part of."""
    if not path.is_file():
        raise PathNotFoundError(f"{path}: no such file; {part_of} is incomplete without it")
    return path


def read_json(path: Path, part_of: str) -> Any:
    """The value of a JSON file of bounded size."""
    present(path, part_of)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InvalidInputError(f"{path}: larger than {MAX_JSON_BYTES:,} bytes")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path}: not JSON ({error})") from None


def whole(value: Any, path: Path, field: str, least: int, greatest: int) -> int:
    """A whole number from a JSON file."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest:
        return value
    raise InvalidInputError(
        f"{path}: {field}: a whole number from {least} to {greatest} is needed, not {value!r:.50}"
    )
