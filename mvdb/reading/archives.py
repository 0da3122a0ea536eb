"""Documents that are zip archives: sizes are bounded before anything is unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from mvdb.reading.unreadable import Unreadable

MOST_UNPACKED = 256 << 20
"""Bytes of all members together."""
MOST_MEMBERS = 10_000


@contextmanager
def opened(data: bytes) -> Iterator[zipfile.ZipFile]:
    """The archive; Unreadable if it is none, or unpacks to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if len(members) > MOST_MEMBERS or unpacked > MOST_UNPACKED:
                raise Unreadable(
                    f"unpacks to {unpacked >> 20} MiB in {len(members)} parts", "too large"
                )
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise Unreadable(f"not a whole archive: {error}", "damaged") from error


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member; Unreadable if it is not there. No more is read than it states."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise Unreadable(f"it has no {name}", "damaged") from None
    with archive.open(info) as file:
        return file.read(info.file_size)
