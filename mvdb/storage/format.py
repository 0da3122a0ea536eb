"""Constants of the file, and the one encoder and decoder of its fields.

FROZEN: everything in capitals here is on disk. Never change or renumber a value; add new ones and,
where an old reader would misread the result, raise ``FORMAT_VERSION``.

All multi-byte integers of mvdb are little-endian (LMDB's own pages are in the machine's order).
Thread-safe: no state.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError

Buffer: TypeAlias = bytes | bytearray | memoryview

FORMAT_VERSION: Final = 1
"""Version of the whole file. A file with a higher one is refused."""

MAGIC: Final = b"mvdb\x00\x1a\r\n"
"""First bytes of the value that marks an LMDB file as one of mvdb (see `FORMAT_KEY`)."""

FORMAT_KEY: Final = b"format"
"""Key in table ``meta`` under which the storage layer keeps magic and format version."""

TABLES: Final = ("meta", "centroids", "ids", "segments", "tombstones")
"""Names of the LMDB tables, in the order in which they are made."""

MAX_KEY_BYTES: Final = 511
"""Longest key of liblmdb; keys of mvdb, but those of ids, have at most 13 bytes."""

ENVELOPE_VERSION: Final = 1
ENVELOPE_HASHED: Final = 8
"""Bytes of the header that the hash covers: all but the hash itself."""
MAX_BODY_BYTES: Final = 0xFFFF_FFFF


class Kind(IntEnum):
    """Kind of an envelope's body."""

    META = 1
    MANIFEST = 2
    CENTROIDS = 3
    ID = 4
    DIRECTORY = 5
    CODES = 6
    RECORDS = 7
    IDS = 8
    DOCUMENTS = 9
    FIELDS = 10
    TOMBSTONES = 11
    LIST_DIRECTORY = 12
    LISTS = 13
    ORDER = 14
    WORD_DIRECTORY = 15
    WORDS = 16
    WEIGHT_DIRECTORY = 17
    WEIGHTS = 18
    TENANT = 19


class Record:
    """Fields that follow each other without gaps: one way to write and read them.

    ``codes`` are those of `struct`: B, H, I, Q for unsigned integers of 1, 2, 4 and 8 bytes, d for
    a float64, 8s for eight bytes."""

    __slots__ = ("_layout", "size")

    def __init__(self, codes: str) -> None:
        self._layout = struct.Struct("<" + codes)
        self.size = self._layout.size
        """Bytes."""

    def pack(self, *fields: object) -> bytes:
        """The bytes of one record. Raises `ValueError` when a number does not fit its field."""
        try:
            return self._layout.pack(*fields)
        except struct.error as error:
            raise ValueError(f"{fields!r} do not fit their fields: {error}") from None

    def pack_all(self, rows: Iterable[Sequence[object]]) -> bytes:
        """The bytes of records that follow each other."""
        return b"".join(self.pack(*row) for row in rows)

    def unpack(self, body: Buffer, where: str) -> tuple[Any, ...]:
        """The fields of ``body``, which holds one record and nothing else.

        Raises `CorruptionError` that names ``where``, as all that follows."""
        if len(body) != self.size:
            raise CorruptionError(f"{where}: {len(body)} bytes where {self.size} are expected")
        return self._layout.unpack(body)

    def unpack_head(self, body: Buffer, where: str) -> tuple[tuple[Any, ...], memoryview]:
        """The fields at the beginning of ``body``, and what follows them."""
        view = memoryview(body).cast("B")
        if len(view) < self.size:
            raise CorruptionError(
                f"{where}: {len(view)} bytes where at least {self.size} are expected"
            )
        return self._layout.unpack_from(view), view[self.size :]

    def unpack_all(self, body: Buffer, where: str, count: int | None = None) -> list[Any]:
        """The fields of each record of ``body``, which holds ``count`` of them (None: any number)
        and nothing else."""
        if len(body) % self.size or count not in (None, len(body) // self.size):
            wanted = "records" if count is None else f"{count} records"
            raise CorruptionError(
                f"{where}: {len(body)} bytes where {wanted} of {self.size} are expected"
            )
        return list(self._layout.iter_unpack(body))


ENVELOPE_HEADER: Final = Record("BBHIQ")
"""version u8, kind u8, flags u16, body length u32, XXH3-64 u64: 16 bytes before every body."""


def pack_arrays(*arrays: tuple[str, NDArray[Any]]) -> bytes:
    """The bytes of arrays that follow each other; each with the type that it has on disk."""
    return b"".join(array.astype(dtype).tobytes() for dtype, array in arrays)


def unpack_arrays(body: Buffer, where: str, *types: tuple[str, int]) -> list[NDArray[Any]]:
    """The arrays of these types and lengths that ``body`` consists of.

    Copies: aligned, in the machine's byte order, and independent of the mapped page."""
    expected = sum(np.dtype(dtype).itemsize * count for dtype, count in types)
    if len(body) != expected:
        raise CorruptionError(f"{where}: {len(body)} bytes where {expected} are expected")
    arrays, at = [], 0
    for dtype, count in types:
        size = np.dtype(dtype).itemsize * count
        arrays.append(np.frombuffer(body[at : at + size], dtype).astype(dtype[1:]))
        at += size
    return arrays
