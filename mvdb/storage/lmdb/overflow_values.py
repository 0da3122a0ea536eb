"""Large values by their address in the mapped file, without reading them.

``txn.get`` reads a value whole before it returns it, to fault its pages in outside the
interpreter's lock. Of a value of a megabyte that holds hundreds of documents a query needs few, so
here the address is taken from the B-tree instead: a leaf holds, behind the key, the number of the
page on which a large value begins (liblmdb's ``MDB_node`` with ``F_BIGDATA``, part of its file
format). The node is found through the address of the key, which a cursor gives without reading the
value. Where the map begins follows from one value that is read in the ordinary way.

A value that is read whole is asked for at once before, by the same address: one page after the
other takes a cold device many times as long.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from typing import Any

from mvdb.storage.lmdb.pages import BIG_DATA, HEADER, NODE, NUMBER
from mvdb.storage.read_ahead import address_of, will_read


def values(
    txn: Any, table: Any, keys: Iterable[bytes], page_size: int, last_page: int
) -> Iterator[memoryview | None]:
    """The values under `keys`; of large ones nothing is read, but for the first.

    txn: of py-lmdb, read-only, with buffers. page_size, last_page: of its environment."""
    begin: int | None = None  # address of the map
    with txn.cursor(table) as cursor:
        for key in keys:
            place = _place(cursor, key) if cursor.set_key(key) else None
            if begin is None or place is None or not place[0] <= last_page:
                _ask(cursor, place, page_size, last_page)
                value: memoryview | None = txn.get(key, None, table)
                if value is not None and place is not None and place[1] == len(value):
                    begin = address_of(value) - HEADER.size - place[0] * page_size
                yield value
                continue
            page, size = place
            if HEADER.size + size > (last_page + 1 - page) * page_size:
                yield txn.get(key, None, table)  # liblmdb finds the words for it
                continue
            array = (ctypes.c_char * size).from_address(begin + page * page_size + HEADER.size)
            yield memoryview(array).cast("B").toreadonly()


def whole_value(
    txn: Any, table: Any, key: bytes, page_size: int, last_page: int
) -> memoryview | None:
    """The value under a key, which is read. Arguments as of `values`."""
    with txn.cursor(table) as cursor:
        place = _place(cursor, key) if cursor.set_key(key) else None
        _ask(cursor, place, page_size, last_page)
    value: memoryview | None = txn.get(key, None, table)
    return value


def _ask(cursor: Any, place: tuple[int, int] | None, page_size: int, last_page: int) -> None:
    """Has the system read the large value that the cursor is at. A hint: nothing is read through
    the address, which follows from the number of the page that the key is on."""
    if place is None or mmap.PAGESIZE % page_size:
        return
    page, size = place
    inside = min(HEADER.size + size, (last_page + 1 - page) * page_size)
    if inside > 0:
        will_read(map_begin(cursor.key(), page_size) + page * page_size, inside)


def map_begin(view: memoryview, page_size: int) -> int:
    """Address of the map, by the number of the page that a view of it begins on. REQUIRES: pages of
    LMDB are no larger than those of the system."""
    address = address_of(view)
    page = address - address % page_size
    (number,) = NUMBER.unpack(ctypes.string_at(page, NUMBER.size))
    return page - int(number) * page_size


def _place(cursor: Any, key: bytes) -> tuple[int, int] | None:
    """First page and size of the large value that the cursor is at; None when it is not large."""
    begin = address_of(cursor.key())
    low, high, flags, key_size = NODE.unpack(ctypes.string_at(begin - NODE.size, NODE.size))
    if not flags & BIG_DATA or key_size != len(key):
        return None
    (page,) = NUMBER.unpack(ctypes.string_at(begin + key_size, NUMBER.size))
    return page, low | high << 16
