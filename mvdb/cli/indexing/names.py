"""How a file is named in a database, and found again from there.

A file below the folder of the database goes by its path from there, so that both can be moved or
copied together and a command means the same from wherever it is given. Any other file goes by its
absolute path. Passages are numbered within their file: ``docs/guide.md#12``."""

from __future__ import annotations

import os
from pathlib import Path

import xxhash

_MOST_ID_BYTES = 480  # an id has 500, of which the number takes some


def path_in(file: Path, path: Path) -> str:
    """The name under which `file` (a database) keeps `path`; always with forward slashes."""
    folder = Path(os.path.abspath(file)).parent
    full = Path(os.path.abspath(path))
    name = full.relative_to(folder) if full.is_relative_to(folder) else full
    # Names that are not UTF-8 exist on POSIX; text in the database is.
    return os.fsencode(name.as_posix()).decode("utf-8", errors="backslashreplace")


def path_from(file: Path, name: str) -> Path:
    """Where the file that `file` (a database) keeps as `name` is, absolute."""
    return Path(os.path.abspath(file)).parent / name


def shown_path(file: Path, name: str) -> str:
    """`name` for people: from the working folder if it is below that, else absolute."""
    full, here = path_from(file, name), Path.cwd()
    return str(full.relative_to(here) if full.is_relative_to(here) else full)


def id_stem(name: str) -> str:
    """What the ids of a file's passages begin with: its name, or the end of a very long one."""
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
    if not isinstance(id, str):
        return None
    stem, mark, number = id.rpartition("#")
    if not (stem and mark and number.isascii() and number.isdigit()) or number[0] == "0":
        return None
    return stem, int(number)
