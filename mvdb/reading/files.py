"""The bytes of files: what can be read at all, and its hash."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import xxhash

from mvdb.reading.unreadable import Unreadable


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file of at most `most`.

    Unreadable: it is not a regular file, too large, or the system refuses."""
    try:
        # Asked first: opening a named pipe would wait for somebody to write into it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("not a regular file", "special")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file", "special")
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise Unreadable("it is gone, or a link to nothing", "gone") from error
    except OSError as error:
        raise Unreadable(error.strerror or str(error), "denied") from error
    if len(data) > most:
        raise Unreadable(f"larger than {most >> 20} MiB", "too large")
    return data


def content_hash(data: bytes) -> str:
    """The hash of a file's bytes: XXH3, 64 bits, hexadecimal."""
    return xxhash.xxh3_64_hexdigest(data)
