"""Reading what is left of a damaged file, without liblmdb and without its page structure.

Every page that looks like a leaf is taken for one, whether or not anything leads to it, and each
value found is proved by its envelope, whose checksum covers the key. So a damaged branch page or
meta page costs nothing. What was deleted or replaced may be found too: the callers, who know the
manifest, sort that out.

Page layout: LMDB 0.9 (``mdb.c``: MDB_page, MDB_node, MDB_meta), native byte order, 64 bits.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage import envelope
from mvdb.storage.failures import translating
from mvdb.storage.format import ENVELOPE_HEADER, MAX_KEY_BYTES, Kind
from mvdb.storage.lmdb.preflight import regular_file_size
from mvdb.storage.presence import open_data_file

_PAGE = struct.Struct("=QHHHH")  # page number, padding, flags, lower, upper
_NODE = struct.Struct("=HHHH")  # size low, size high, flags, key size
_LEAF = 0x02
_BIG = 0x01
_META_MAGIC = 0xBEEFC0DE
_META_MAGIC_AT = 16
_META_PAGE_SIZE_AT = 40
_PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)


class SalvagedFile:
    """A damaged file as a source of proved values: `get` serves like a transaction's.

    A context manager; read-only. Raises `FormatError` when nothing of an mvdb file is found,
    `PathError` when the system does not let it be read."""

    def __init__(self, path: str) -> None:
        with translating("repairing", path):
            self._map = _mapped(path)
        self._data = memoryview(self._map)
        self._places: dict[tuple[int, bytes], list[tuple[int, int]]] = defaultdict(list)
        for kind, key, start, size in self._sweep(self._page_size()):
            self._places[kind, key].append((start, size))
        if not self._places:
            self.close()
            raise FormatError(f"{path}: no value of an mvdb database was found in it")

    def __enter__(self) -> SalvagedFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file, unless views of it are still in use."""
        self._data.release()
        try:
            self._map.close()
        except BufferError:
            return  # the views keep the map; it goes with the last of them

    def candidates(self, kind: Kind, key: bytes) -> Iterator[memoryview]:
        """Every intact body of this kind under this key; newer and older ones in no order."""
        for start, size in self._places.get((int(kind), key), ()):
            try:
                yield envelope.unseal(kind, key, self._data[start : start + size], "salvage")
            except (CorruptionError, FormatError):
                continue

    def values(self, kind: Kind) -> Iterator[tuple[bytes, memoryview]]:
        """Every intact body of this kind, with its key."""
        for found, key in list(self._places):
            if found == kind:
                for body in self.candidates(kind, key):
                    yield key, body

    def get(self, table: str, key: bytes, kind: Kind) -> memoryview | None:
        """The first intact value (envelope included) of this kind under this key."""
        for start, size in self._places.get((int(kind), key), ()):
            value = self._data[start : start + size]
            try:
                envelope.unseal(kind, key, value, table)
            except (CorruptionError, FormatError):
                continue
            return value
        return None

    def _page_size(self) -> int:
        for size in _PAGE_SIZES:  # the second meta page, should the first be gone, shows its size
            for at in (0, size):
                if self._u32(at + _META_MAGIC_AT) == _META_MAGIC:
                    stated = self._u32(at + _META_PAGE_SIZE_AT)
                    if stated in _PAGE_SIZES and at in (0, stated):
                        return stated
        return mmap.PAGESIZE

    def _u32(self, at: int) -> int:
        if at + 4 > len(self._data):
            return 0
        return int.from_bytes(self._data[at : at + 4], "little")

    def _sweep(self, page_size: int) -> Iterator[tuple[int, bytes, int, int]]:
        """Kind, key, offset and size of everything in leaf pages that may be a value of ours."""
        data = self._data
        for at in range(0, len(data) - _PAGE.size, page_size):
            number, _, flags, lower, _ = _PAGE.unpack_from(data, at)
            if flags != _LEAF or number != at // page_size or not _PAGE.size <= lower <= page_size:
                continue
            for slot in range(at + _PAGE.size, min(at + lower, len(data)) - 1, 2):
                offset = int.from_bytes(data[slot : slot + 2], "little")
                found = self._node(at, offset, page_size)
                if found is not None:
                    yield found

    def _node(self, page: int, offset: int, page_size: int) -> tuple[int, bytes, int, int] | None:
        end = min(page + page_size, len(self._data))
        at = page + offset
        if at + _NODE.size > end:
            return None
        low, high, flags, key_size = _NODE.unpack_from(self._data, at)
        start = at + _NODE.size + key_size
        size = low | high << 16
        if not 1 <= key_size <= MAX_KEY_BYTES or start > end:
            return None
        key = bytes(self._data[at + _NODE.size : start])
        if flags == _BIG:
            if start + 8 > end:
                return None
            start = int.from_bytes(self._data[start : start + 8], "little") * page_size + _PAGE.size
        elif flags != 0:
            return None
        if size < ENVELOPE_HEADER.size or start + size > len(self._data):
            return None
        return self._data[start + 1], key, start, size


def _mapped(path: str) -> mmap.mmap:
    descriptor = open_data_file(path)
    try:
        if regular_file_size(descriptor, path) == 0:
            raise FormatError(f"{path}: the file is empty; there is nothing to repair")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
