"""Salvage of pages: the values in a damaged file, found without liblmdb and without its trees.

1. Map the file. Its page size is that of a meta page, else the machine's.
2. Take every page for a leaf that is marked as one and bears its own number, whether or not a tree
   leads to it.
3. Of each node in it note kind, key, offset and size of its value, if these are inside the file; a
   large value's offset is that of its extent.
4. Prove a value, when it is wanted, by its envelope, whose checksum covers the key.

A damaged branch page or meta page therefore costs no value. Deleted and replaced values may be
found too: the callers know the manifest and choose.
"""

from __future__ import annotations

import mmap
import os
from collections import defaultdict
from collections.abc import Iterator

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage import envelope
from mvdb.storage.failures import translating
from mvdb.storage.format import ENVELOPE_HEADER, MAX_KEY_BYTES, Kind
from mvdb.storage.lmdb import pages
from mvdb.storage.lmdb.preflight import regular_file_size
from mvdb.storage.presence import open_data_file

_Found = tuple[int, bytes, slice]
"""Kind, key and byte range of a possible value."""


class SalvagedFile:
    """A damaged file as a source of proved values: `get` serves like a transaction's.

    A context manager; read-only. Raises `FormatError` when nothing of an mvdb file is found,
    `PathError` when the system does not let it be read."""

    def __init__(self, path: str) -> None:
        with translating("repairing", path):
            self._map = _mapped(path)
        self._data = memoryview(self._map)
        self._places: dict[tuple[int, bytes], list[slice]] = defaultdict(list)
        for kind, key, place in _sweep(self._data, _page_size(self._data)):
            self._places[kind, key].append(place)
        if not self._places:
            self.close()
            raise FormatError(f"{path}: no value of an mvdb database was found in it")

    def __enter__(self) -> SalvagedFile:
        return self

    def __exit__(self, *_: object) -> None:
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
        return (body for _, body in self._intact(kind, key))

    def values(self, kind: Kind) -> Iterator[tuple[bytes, memoryview]]:
        """Every intact body of this kind, with its key."""
        for found, key in list(self._places):
            if found == kind:
                for body in self.candidates(kind, key):
                    yield key, body

    def get(self, table: str, key: bytes, kind: Kind) -> memoryview | None:
        """The first intact value (envelope included) of this kind under this key."""
        return next((value for value, _ in self._intact(kind, key)), None)

    def _intact(self, kind: Kind, key: bytes) -> Iterator[tuple[memoryview, memoryview]]:
        for place in self._places.get((int(kind), key), ()):
            value = self._data[place]
            try:
                yield value, envelope.unseal(kind, key, value, "salvage")
            except (CorruptionError, FormatError):
                continue


def _mapped(path: str) -> mmap.mmap:
    descriptor = open_data_file(path)
    try:
        if regular_file_size(descriptor, path) == 0:
            raise FormatError(f"{path}: the file is empty; there is nothing to repair")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


def _page_size(data: memoryview) -> int:
    for at in (0, *pages.SIZES):  # the second meta page, should the first be gone, shows its size
        if len(data) >= at + pages.META_END:
            meta = pages.meta_of(data[at : at + pages.META_END])
            is_there = at in (0, meta.page_size)
            if meta.magic == pages.MAGIC and meta.page_size in pages.SIZES and is_there:
                return meta.page_size
    return mmap.PAGESIZE


def _sweep(data: memoryview, page_size: int) -> Iterator[_Found]:
    """All possible values of mvdb in leaf pages."""
    for at in range(0, len(data) - pages.HEADER.size, page_size):
        number, _, flags, lower, _ = pages.HEADER.unpack_from(data, at)
        is_leaf = flags == pages.LEAF and number == at // page_size
        if not is_leaf or not pages.HEADER.size <= lower <= page_size:
            continue
        page = data[at : at + page_size]
        offsets = page[pages.HEADER.size : lower]
        for offset in offsets[: len(offsets) & ~1].cast("H").tolist():
            found = _node(data, page, offset, page_size, at)
            if found is not None:
                yield found


def _node(
    data: memoryview, page: memoryview, offset: int, page_size: int, page_at: int
) -> _Found | None:
    """The node at this offset of a page that begins at `page_at` of the file."""
    key_at = offset + pages.NODE.size
    if key_at > len(page):
        return None
    low, high, flags, key_size = pages.NODE.unpack_from(page, offset)
    after = key_at + key_size
    if not 1 <= key_size <= MAX_KEY_BYTES or after > len(page) or flags not in (0, pages.BIG_DATA):
        return None
    start, size = page_at + after, low | high << 16
    if flags == pages.BIG_DATA:
        if after + pages.NUMBER.size > len(page):
            return None
        start = pages.NUMBER.unpack_from(page, after)[0] * page_size + pages.HEADER.size
    if size < ENVELOPE_HEADER.size or start + size > len(data):
        return None
    return data[start + 1], bytes(page[key_at:after]), slice(start, start + size)
