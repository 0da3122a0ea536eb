"""A page of LMDB 0.9 (``mdb.c``; data version 1) on a 64-bit machine, in the machine's byte order.

All that mvdb reads of the file without liblmdb is read by these layouts:

    page     number u64 · padding u16 · flags u16 · lower u16 · upper u16 · content
    meta     magic u32 · version u32 · address u64 · map size u64 · free list (table) ·
             main tree (table) · last page u64 · transaction u64; pages 0 and 1 hold one each
    table    page size u32 (free list's alone) · flags u16 · depth u16 · branch pages u64 ·
             leaf pages u64 · overflow pages u64 · entries u64 · root u64
    branch   offsets u16 of its nodes, up to `lower`; node: child's page number in three u16, low
             first · key size u16 · key
    leaf     the same; node: value size u32 in two u16, low first · flags u16 · key size u16 · key ·
             value, or with BIG_DATA the page number u64 at which its extent begins
    extent   page header, whose last field is the number of its pages u32 · the value
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Any, Final, NamedTuple

from mvdb.storage.format import Buffer

MAGIC: Final = 0xBEEFC0DE
DATA_VERSION: Final = 1
"""The data version of LMDB 0.9, the only one that this library writes."""
SIZES: Final = (4096, 8192, 16384, 32768)
"""Bytes of a page that LMDB 0.9 can use. A file keeps those of the machine that made it."""
META_PAGES: Final = 2

HEADER: Final = struct.Struct("=QHHHH")
"""number, padding, flags, lower, upper"""
EXTENT: Final = struct.Struct("=QHHI")
"""number, padding, flags, pages"""
NODE: Final = struct.Struct("=HHHH")
"""low and high half of the value's size, flags, key size"""
NUMBER: Final = struct.Struct("=Q")
TABLE: Final = struct.Struct("=IHHQQQQQ")
"""page size, flags, depth, branch pages, leaf pages, overflow pages, entries, root"""
_META: Final = struct.Struct("=IIQQ48s48sQQ")
META_END: Final = HEADER.size + _META.size
TRANSACTION_AT: Final = META_END - NUMBER.size
"""Offset, in a meta page, of the number of the transaction that wrote it."""

BRANCH, LEAF, OVERFLOW = 0x01, 0x02, 0x04  # flags of a page
BIG_DATA: Final = 0x01  # flag of a node
INTEGER_KEY: Final = 0x08  # flag of a table
ONE_FILE: Final = 0x4000
"""Flag of the environment, kept with the free list's: no folder."""

READABLE_IN_MEMORY: Final = sys.byteorder == "little" and struct.calcsize("P") == 8
"""Whether pages of the map can be read by these layouts and numpy's little-endian types."""


class Meta(NamedTuple):
    """What a meta page says."""

    magic: int
    version: int
    address: int
    map_size: int
    free: bytes
    main: bytes
    last_page: int
    transaction: int

    @property
    def page_size(self) -> int:
        return int(TABLE.unpack(self.free)[0])


def meta_of(page: Buffer) -> Meta:
    """The content of a meta page, of which at least `META_END` bytes are given."""
    return Meta(*_META.unpack_from(page, HEADER.size))


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """At most so many bytes of an open file."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def state_head(descriptor: int, page_size: int, transaction: int) -> bytes | None:
    """The first two pages as they were when this transaction was the last one; None when both have
    been written since. Commits take turns, the even ones on page 0."""
    pages: Any = bytearray(read_at(descriptor, META_PAGES * page_size, 0))
    if len(pages) < META_PAGES * page_size:
        return None
    mine, other = transaction % 2, 1 - transaction % 2
    at = [page * page_size + TRANSACTION_AT for page in (0, 1)]
    numbers = [NUMBER.unpack_from(pages, offset)[0] for offset in at]
    if numbers[mine] != transaction:
        return None
    if numbers[other] > transaction:  # committed since; before, it was that of the commit before
        NUMBER.pack_into(pages, at[other], transaction - 1)
    return bytes(pages)
