"""Key spaces: several collections in the tables of one file.

The keys of collection number c are those of a file of its own behind five bytes, its *scope*:

    0xFF · c u32, big-endian

The unnamed collection has no scope. None of its keys begins with 0xFF: segments and codebooks are
numbered far below, ids begin with their type, the keys of `meta` are words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mvdb.storage.format import Buffer

MARK: Final = b"\xff"
SCOPE_BYTES: Final = 5
MAX_NUMBER: Final = 0xFFFF_FFFF


def scope_of(number: int) -> bytes:
    """What precedes the keys of a collection."""
    return MARK + number.to_bytes(4, "big")


def is_in(scope: bytes, key: bytes) -> bool:
    """Whether a key, as it is in the file, belongs to a key space."""
    return key.startswith(scope) if scope else not key.startswith(MARK)


def is_alone(cursor: Any) -> bool:
    """Whether a table holds keys of the unnamed collection only, or none."""
    return not cursor.last() or cursor.key()[:1] != MARK


def entries(
    cursor: Any, scope: bytes | None, start: Buffer | None
) -> Iterator[tuple[memoryview, memoryview]]:
    """Keys, without their scope, and values of one key space, from `start` on; scope None: of all
    key spaces, as they are in the file."""
    if scope is None or (not scope and is_alone(cursor)):
        if cursor.set_range(start) if start else cursor.first():
            yield from cursor.iternext()
        return
    first, length = scope + bytes(start or b""), len(scope)
    if not (cursor.set_range(first) if first else cursor.first()):
        return
    for key, value in cursor.iternext():
        if key[:length] != scope if scope else key[:1] == MARK:
            return
        yield key[length:], value


def numbers(cursor: Any) -> Iterator[int]:
    """The numbers of the collections that have keys in a table, ascending."""
    start = MARK
    while cursor.set_range(start):
        # A key shorter than a scope belongs to no collection; it counts as the number it begins.
        number = int.from_bytes(bytes(cursor.key()[1:SCOPE_BYTES]).ljust(4, b"\0"), "big")
        yield number
        if number == MAX_NUMBER:
            return
        start = scope_of(number + 1)
