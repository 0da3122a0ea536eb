"""Constants of the file and the helpers that read and write its integers.

FROZEN: everything in capitals here is on disk. Never change or renumber a value; add new ones and,
where an old reader would misread the result, raise ``FORMAT_VERSION``.

All multi-byte integers of our own are little-endian (LMDB's own pages are in the machine's order).
Nothing here keeps state; `Reader` and `Writer` objects belong to one thread at a time.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, TypeAlias

from mvdb.errors import CorruptionError

Buffer: TypeAlias = bytes | bytearray | memoryview
_Bytes: TypeAlias = bytes  # `bytes` is a method name of the classes below

FORMAT_VERSION: Final = 1
"""Version of the whole file. A file with a higher one is refused."""

MAGIC: Final = b"mvdb\x00\x1a\r\n"
"""First bytes of the value that marks an LMDB file as ours (see `FORMAT_KEY`)."""

FORMAT_KEY: Final = b"format"
"""Key in table ``meta`` under which the storage layer keeps magic and format version."""

TABLES: Final = ("meta", "centroids", "ids", "segments", "tombstones")
"""Names of the LMDB tables, in the order in which they are made."""

MAX_KEY_BYTES: Final = 511
"""Longest key liblmdb takes; keys of our own design stay under 32 bytes."""

ENVELOPE_VERSION: Final = 1
ENVELOPE_HEADER: Final = struct.Struct("<BBHIQ")
"""version u8, kind u8, flags u16, body length u32, XXH3-64 u64: 16 bytes before every body."""
ENVELOPE_HASHED: Final = 8
"""How many of the header's first bytes the hash covers (all but the hash itself)."""
MAX_BODY_BYTES: Final = 0xFFFF_FFFF


class Kind(IntEnum):
    """What the body of an envelope is."""

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


_U8 = struct.Struct("<B")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_I64 = struct.Struct("<q")
_F32 = struct.Struct("<f")
_F64 = struct.Struct("<d")


class Reader:
    """Takes values off the front of a buffer; every step is checked against its end.

    ``where`` names the buffer in messages ("segments/12/directory"). Each method raises
    `CorruptionError` when fewer bytes are left than it needs. `bytes` and `blob` return views into
    the buffer: they live no longer than it does.
    """

    __slots__ = ("_position", "_view", "_where")

    def __init__(self, data: Buffer, where: str) -> None:
        self._view = memoryview(data).cast("B")
        self._position = 0
        self._where = where

    @property
    def position(self) -> int:
        """Bytes consumed so far."""
        return self._position

    @property
    def remaining(self) -> int:
        """Bytes not consumed yet."""
        return len(self._view) - self._position

    def _advance(self, size: int) -> int:
        start = self._position
        # size may itself come from the file; Python integers do not wrap, so one comparison is
        # enough.
        if size < 0 or size > len(self._view) - start:
            raise CorruptionError(
                f"{self._where}: {size} bytes expected at offset {start}, "
                f"{len(self._view) - start} left"
            )
        self._position = start + size
        return start

    def u8(self) -> int:
        return self._view[self._advance(1)]

    def u16(self) -> int:
        value: int = _U16.unpack_from(self._view, self._advance(2))[0]
        return value

    def u32(self) -> int:
        value: int = _U32.unpack_from(self._view, self._advance(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self._view, self._advance(8))[0]
        return value

    def i64(self) -> int:
        value: int = _I64.unpack_from(self._view, self._advance(8))[0]
        return value

    def f32(self) -> float:
        value: float = _F32.unpack_from(self._view, self._advance(4))[0]
        return value

    def f64(self) -> float:
        value: float = _F64.unpack_from(self._view, self._advance(8))[0]
        return value

    def bytes(self, size: int) -> memoryview:
        """The next ``size`` bytes, without copying."""
        start = self._advance(size)
        return self._view[start : start + size]

    def blob(self) -> memoryview:
        """A byte string preceded by its u32 length, without copying."""
        return self.bytes(self.u32())

    def text(self) -> str:
        """A blob that must be UTF-8."""
        start = self._position
        raw = self.blob()
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise CorruptionError(
                f"{self._where}: text at offset {start} is not UTF-8 ({error.reason})"
            ) from None

    def end(self) -> None:
        """Demand that nothing is left over."""
        if self.remaining:
            raise CorruptionError(
                f"{self._where}: {self.remaining} unexpected bytes after offset {self._position}"
            )


class Writer:
    """Builds what `Reader` reads. Methods return the writer, so that calls can be chained.

    Raises `ValueError` for an integer that does not fit its field: that is a fault of the caller.
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def _pack(self, layout: struct.Struct, value: float) -> Writer:
        try:
            self._data += layout.pack(value)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{value!r} does not fit its field: {error}") from None
        return self

    def u8(self, value: int) -> Writer:
        return self._pack(_U8, value)

    def u16(self, value: int) -> Writer:
        return self._pack(_U16, value)

    def u32(self, value: int) -> Writer:
        return self._pack(_U32, value)

    def u64(self, value: int) -> Writer:
        return self._pack(_U64, value)

    def i64(self, value: int) -> Writer:
        return self._pack(_I64, value)

    def f32(self, value: float) -> Writer:
        return self._pack(_F32, value)

    def f64(self, value: float) -> Writer:
        return self._pack(_F64, value)

    def bytes(self, data: Buffer) -> Writer:
        """The bytes as they are, without a length."""
        self._data += data
        return self

    def blob(self, data: Buffer) -> Writer:
        """The bytes preceded by their length as u32."""
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        return self.u32(size).bytes(data)

    def text(self, value: str) -> Writer:
        """A blob of UTF-8."""
        return self.blob(value.encode("utf-8"))

    def getvalue(self) -> _Bytes:
        """What was written so far, as immutable bytes."""
        return _Bytes(self._data)
