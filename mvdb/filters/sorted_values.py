"""Sorted distinct strings and large integers: how they are written, and how strings are read where
they are stored.

Written form: u32 offsets, and the text that they cut; each string ends with a byte 0xFF. Bytes are
untrusted: a reader here answers or raises ``CorruptionError``.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.storage.invariants import is_cut, require

Buffer = bytes | memoryview

MAX_TEXT = 2**32 - 1

_END = b"\xff"
"""Ends every stored string. UTF-8 has no such byte, so no match spans two strings."""
_BLOCK = 2**20
_COMPLEMENT = bytes(range(255, -1, -1))
_WHERE = "metadata column"


class Strings:
    """Byte strings in ascending order; string ``i`` is ``text[offsets[i]:offsets[i + 1] - 1]``.

    As UTF-8 their order is that of their code points. Immutable."""

    nbytes = 0  # nothing is copied

    def __init__(self, offsets: NDArray[np.uint32], text: Buffer) -> None:
        self._offsets = offsets
        self._text = memoryview(text)
        fits = is_cut(offsets, len(text))
        require(fits, _WHERE, "the offsets of its strings are damaged")
        ends = np.frombuffer(text, np.uint8)[offsets[1:].astype(np.intp) - 1]
        require(bool((ends == _END[0]).all()), _WHERE, "a string has no end")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self._start(index, MAX_TEXT)

    def _start(self, index: int, limit: int) -> bytes:
        """The first ``limit`` bytes of a string."""
        start = int(self._offsets[index])
        return bytes(self._text[start : min(int(self._offsets[index + 1]) - 1, start + limit)])

    def position(self, value: bytes) -> int:
        """The number of strings below ``value``."""
        # One byte more than the value decides each comparison, however long a string is.
        limit = len(value) + 1
        return bisect.bisect_left(range(len(self)), value, key=lambda i: self._start(i, limit))

    def containing(self, part: bytes) -> NDArray[np.intp]:
        """The indexes of the strings that have ``part``, ascending. Reads each string once."""
        if not part:
            return np.arange(len(self), dtype=np.intp)
        offsets: list[int] = []
        for first, block in self._blocks():
            at = block.find(part)
            while at >= 0:  # the first occurrence in each string is enough
                offsets.append(first + at)
                at = block.find(part, block.find(_END, at))
        found = np.searchsorted(self._offsets, np.array(offsets, np.uint32), "right") - 1
        return np.unique(found)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Whole strings, about ``_BLOCK`` bytes at a time, with their offset. Copies, because only
        ``bytes`` can be searched."""
        index = 0
        while index < len(self):
            first = int(self._offsets[index])
            limit = np.uint32(min(first + _BLOCK, MAX_TEXT))
            index = max(index + 1, int(np.searchsorted(self._offsets, limit, "right")) - 1)
            yield first, bytes(self._text[first : int(self._offsets[index])])

    def tolist(self) -> list[bytes]:
        """All strings."""
        strings: list[bytes] = []
        for _, block in self._blocks():
            strings += block[: -len(_END)].split(_END)
        require(len(strings) == len(self), _WHERE, "a string has an end within it")
        return strings

    def verify(self) -> None:
        """Raises ``CorruptionError`` unless the strings are UTF-8 in ascending order."""
        for before, after in pairwise(self):
            require(before < after, _WHERE, "strings are not in order")
        try:
            for _, block in self._blocks():
                block.replace(_END, b"\n").decode("utf-8")
        except UnicodeDecodeError:
            raise CorruptionError(f"{_WHERE}: a string is not UTF-8") from None

    def __iter__(self) -> Iterator[bytes]:
        return map(self.__getitem__, range(len(self)))


def encode_strings(values: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Offsets and text. Raises ``ValueError`` if they are too long for 32-bit offsets."""
    parts = [value + _END for value in values]
    offsets = np.zeros(len(parts) + 1, dtype=np.uint64)
    np.cumsum(np.fromiter(map(len, parts), dtype=np.uint64, count=len(parts)), out=offsets[1:])
    if int(offsets[-1]) > MAX_TEXT:
        raise ValueError("the strings of one metadata field exceed 4 GiB in one segment")
    return offsets.astype("<u4").tobytes(), b"".join(parts)


def encode_big_int(value: int) -> bytes:
    """Sign, length, magnitude (big-endian); complemented for a negative number, so that the order
    of bytes is the order of numbers."""
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    body = size.to_bytes(4, "big") + magnitude.to_bytes(size, "big")
    return b"\0" + body.translate(_COMPLEMENT) if value < 0 else b"\1" + body


def decode_big_int(stored: bytes) -> int:
    """The number that ``encode_big_int`` has written."""
    negative = stored[:1] == b"\0"
    body = stored[1:].translate(_COMPLEMENT) if negative else stored[1:]
    value = int.from_bytes(body[4:], "big") * (-1 if negative else 1)
    require(encode_big_int(value) == stored, _WHERE, "a large integer is damaged")
    return value
