"""What tells a file in a database: the value that each of its passages keeps.

A passage belongs to a file because the indexer stored so with it, never because of its id. The
value is one string in the metadata, so that the column of that field alone lists all files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import xxhash

FIELD = "indexed"
"""The field of the metadata."""
UNFINISHED = "indexing"
"""Has the same value, in the first passage of a long file of which not all are stored yet."""

_MOST_ID_BYTES = 480  # an id has 500, of which the number takes some
_ESCAPED = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


@dataclass(frozen=True)
class Identity:
    """A version of a file, as its passages were stored.

    Attributes:
        root: absolute path of the folder that `path` is relative to. Both are written: see
            `written`.
        path: of the file, with forward slashes.
        stem: of the ids: ``stem#1`` is the first passage.
        hash: of the content.
        passages: their number.
        cutting: the rules by which they were cut.
        size: of the file, bytes.
        modified: when the file was modified last, ISO 8601, UTC."""

    root: str
    path: str
    stem: str
    hash: str
    passages: int
    cutting: str
    size: int
    modified: str

    def __str__(self) -> str:
        return json.dumps([*asdict(self).values()], ensure_ascii=False, separators=(",", ":"))

    @property
    def place(self) -> Path:
        """Where the file was, absolute."""
        return place_of(read_back(self.root), self.path)

    @property
    def top(self) -> str:
        """The first folder below the root, or the file itself if it lies there: a source."""
        return os.path.join(read_back(self.root), read_back(self.path.partition("/")[0]))

    def ids(self) -> Iterator[str]:
        """The ids of the passages, in order."""
        return (passage_id(self.stem, number) for number in range(1, self.passages + 1))

    def number(self, id: object) -> int | None:
        """The number of the passage with this id; None if it is none of the file."""
        stem, _, number = str(id).rpartition("#")
        is_own = stem == self.stem and number.isascii() and number.isdecimal()
        return int(number) if is_own and 1 <= int(number) <= self.passages else None


def parse(value: object) -> Identity | None:
    """The identity that a passage keeps; None for anything that `Identity` does not write."""
    try:
        parts = json.loads(value) if isinstance(value, str) and value.startswith('["') else None
    except (ValueError, RecursionError):
        return None
    kinds = [int if one.type == "int" else str for one in fields(Identity)]
    if not isinstance(parts, list) or [type(part) for part in parts] != kinds:
        return None
    found = Identity(*parts)
    return found if str(found) == value else None


def any_of(files: Iterable[Identity]) -> dict[str, Any]:
    """The filter of the passages of these versions of files."""
    return {FIELD: {"$in": [str(file) for file in files]}}


def place_of(root: str, path: str) -> Path:
    """The absolute path of a file: its root as the system writes it, its path as it is stored."""
    return Path(root, read_back(path))


def written(path: str) -> str:
    """A path as it is stored: forward slashes, and text whatever its bytes are.

    Names that are not UTF-8 exist on POSIX. Their bytes are written as ``\\xff``, and a backslash
    is doubled, so that no two paths are written alike."""
    escaped = path.replace(os.sep, "/").replace("\\", "\\\\")
    return os.fsencode(escaped).decode("utf-8", errors="backslashreplace")


def read_back(text: str) -> str:
    """The path that was written."""

    def part(found: re.Match[str]) -> str:
        return "\\" if found[1] is None else os.fsdecode(bytes([int(found[1], 16)]))

    return _ESCAPED.sub(part, text).replace("/", os.sep)


def stem_of(path: str) -> str:
    """The beginning of the ids of a file's passages: its path, or the end of a very long one."""
    raw = path.encode()
    if len(raw) <= _MOST_ID_BYTES:
        return path
    tail = raw[-_MOST_ID_BYTES + 40 :].decode("utf-8", errors="ignore")
    return f"{xxhash.xxh3_64_hexdigest(raw)}…{tail}"


def passage_id(stem: str, number: int) -> str:
    """The id of the passage with this number, from 1."""
    return f"{stem}#{number}"
