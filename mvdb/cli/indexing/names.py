"""The name of a file in a database, and the way back from it.

A file below the folder of the database goes by its path from there, so that both can be moved or
copied together and a command means the same from wherever it is given. Any other file goes by its
absolute path. Passages are numbered within their file: ``docs/guide.md#12``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import xxhash

_MOST_ID_BYTES = 480  # an id has 500, of which the number takes some
_PASSAGE_ID = re.compile(r"(.+)#([1-9][0-9]*)", re.DOTALL)


def path_in(file: Path, path: Path) -> str:
    """The name under which `file` (a database) keeps `path`; always with forward slashes."""
    name = _below(Path(os.path.abspath(path)), path_from(file, ""))
    # Names that are not UTF-8 exist on POSIX; text in the database is.
    return os.fsencode(name.as_posix()).decode("utf-8", errors="backslashreplace")


def path_from(file: Path, name: str) -> Path:
    """Where the file that `file` (a database) keeps as `name` is, absolute."""
    return Path(os.path.abspath(file)).parent / name


def shown_path(file: Path, name: str) -> str:
    """`name` for people: from the working folder if it is below that, else absolute."""
    return str(_below(path_from(file, name), Path.cwd()))


def _below(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def id_stem(name: str) -> str:
    """The beginning of the ids of a file's passages: its name, or the end of a very long one."""
    raw = name.encode()
    if len(raw) <= _MOST_ID_BYTES:
        return name
    tail = raw[-_MOST_ID_BYTES + 40 :].decode("utf-8", errors="ignore")
    return f"{xxhash.xxh3_64_hexdigest(raw)}…{tail}"


def passage_id(stem: str, number: int) -> str:
    """The id of the passage with this number (from 1)."""
    return f"{stem}#{number}"


def split_id(id: object) -> tuple[str, int] | None:
    """Stem and number of a passage's id; None for any other id."""
    found = _PASSAGE_ID.fullmatch(id) if isinstance(id, str) else None
    return (found[1], int(found[2])) if found else None
