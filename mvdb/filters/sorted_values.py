"""The sorted distinct values of one metadata column: how they are written, and where a value would
stand among them.

One question is asked of them: ``cut(operand, side)``, the number of values that are smaller than
the operand (``"left"``) or not greater than it (``"right"``). Equality and every range follow from
it. Answers are exact between int and float.

Bytes on disk are little-endian and untrusted: whatever they are, a reader here answers or raises
``CorruptionError``.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError

Side = Literal["left", "right"]
Buffer = bytes | memoryview

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_TEXT = 2**32 - 1

# Ends every stored string. It is no byte of UTF-8, so a search over the whole text finds nothing
# that spans two strings.
_END = b"\xff"
_BLOCK = 2**20
_COMPLEMENT = bytes(range(255, -1, -1))


class IntValues:
    """Integers of 64 bits."""

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def cut(self, operand: int | float, side: Side) -> int:
        bound = _whole(operand, side)
        if bound > INT64_MAX:
            return len(self)
        if bound < INT64_MIN:
            return 0
        return int(np.searchsorted(self._values, np.int64(bound), side))

    def span(self, operand: int | float) -> tuple[int, int]:
        return self.cut(operand, "left"), self.cut(operand, "right")

    def verify(self) -> None:
        _require(bool(np.all(self._values[1:] > self._values[:-1])), "integers are not in order")


class FloatValues:
    """Finite floats of 64 bits."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def cut(self, operand: int | float, side: Side) -> int:
        try:
            nearest = float(operand)
        except OverflowError:
            return len(self) if operand > 0 else 0
        # An integer between two floats has no equal here: all that matters is on which side its
        # nearest float lies. Python compares int with float exactly.
        if nearest > operand:
            side = "left"
        elif nearest < operand:
            side = "right"
        return int(np.searchsorted(self._values, nearest, side))

    def span(self, operand: int | float) -> tuple[int, int]:
        return self.cut(operand, "left"), self.cut(operand, "right")

    def verify(self) -> None:
        _require(bool(np.all(np.isfinite(self._values))), "a float is not finite")
        _require(bool(np.all(self._values[1:] > self._values[:-1])), "floats are not in order")


class ByteValues:
    """Byte strings in the order of their bytes, read where they lie; value ``i`` is
    ``text[offsets[i]:offsets[i + 1] - 1]``.
    """

    def __init__(self, offsets: NDArray[np.uint32], text: memoryview) -> None:
        self._offsets = offsets
        self._text = text

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def get(self, index: int, limit: int = MAX_TEXT) -> bytes:
        """Value ``index``, or its first ``limit`` bytes."""
        start, end = int(self._offsets[index]), int(self._offsets[index + 1])
        if not start < end <= len(self._text):
            raise CorruptionError("metadata column: the offsets of its strings are damaged")
        return bytes(self._text[start : min(end - 1, start + limit)])

    def cut_bytes(self, operand: bytes, side: Side) -> int:
        # One byte more than the operand decides every comparison, however long the stored value is.
        limit = len(operand) + 1
        find = bisect.bisect_left if side == "left" else bisect.bisect_right
        return find(range(len(self)), operand, key=lambda index: self.get(index, limit))

    def span_bytes(self, operand: bytes) -> tuple[int, int]:
        """Both cuts at once: values are distinct, so the second is at most one further."""
        start = self.cut_bytes(operand, "left")
        equal = start < len(self) and self.get(start, len(operand) + 1) == operand
        return start, start + equal

    def verify(self) -> None:
        previous: bytes | None = None
        for index in range(len(self)):
            value = self.get(index)
            _require(previous is None or previous < value, "strings are not in order")
            end = int(self._offsets[index + 1]) - 1
            _require(self._text[end] == _END[0], "a string has no end")
            previous = value
        ends = (int(self._offsets[0]), int(self._offsets[-1]))
        _require(ends == (0, len(self._text)), "it has stray text")


class StringValues(ByteValues):
    """Strings as UTF-8, whose byte order is the order of code points."""

    def cut(self, operand: str, side: Side) -> int:
        return self.cut_bytes(operand.encode("utf-8"), side)

    def span(self, operand: str) -> tuple[int, int]:
        return self.span_bytes(operand.encode("utf-8"))

    def containing(self, part: str) -> NDArray[np.intp]:
        """The indexes of the strings that have ``part`` as a substring, ascending. Reads every
        string once.
        """
        if not part:
            return np.arange(len(self), dtype=np.intp)
        places: list[int] = []
        for start, block in self._blocks():
            places += [start + place for place in _places(block, part.encode("utf-8"))]
        found = np.searchsorted(self._offsets, np.array(places, dtype=np.uint32), "right") - 1
        if len(found) == 0:
            return found
        if found[0] < 0 or found[-1] >= len(self) or np.any(found[1:] <= found[:-1]):
            raise CorruptionError("metadata column: the offsets of its strings are damaged")
        return found

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """The text in pieces of whole strings and their places: copies, because only ``bytes`` can
        be searched, of about ``_BLOCK`` bytes, because the text may be larger than memory.
        """
        index = 0
        while index < len(self):
            start = int(self._offsets[index])
            limit = np.uint32(min(start + _BLOCK, MAX_TEXT))
            last = int(np.searchsorted(self._offsets, limit, "right")) - 1
            index = max(index + 1, min(last, len(self)))
            end = int(self._offsets[index])
            if not start < end <= len(self._text):
                raise CorruptionError("metadata column: the offsets of its strings are damaged")
            yield start, bytes(self._text[start:end])

    def verify(self) -> None:
        super().verify()
        for index in range(len(self)):
            try:
                self.get(index).decode("utf-8")
            except UnicodeDecodeError:
                raise CorruptionError("metadata column: a string is not UTF-8") from None


class BigIntValues(ByteValues):
    """Integers beyond 64 bits, written so that the order of bytes is the order of numbers."""

    def cut(self, operand: int | float, side: Side) -> int:
        bound = _whole(operand, side)
        if isinstance(bound, float):
            return len(self) if bound > 0 else 0
        return self.cut_bytes(encode_big_int(bound), side)

    def span(self, operand: int | float) -> tuple[int, int]:
        return self.cut(operand, "left"), self.cut(operand, "right")


Values = IntValues | FloatValues | StringValues | BigIntValues


def _places(block: bytes, part: bytes) -> Iterator[int]:
    """Where ``part`` is in the strings of a block: its first place in each, so that a part that is
    everywhere costs no more.
    """
    place = block.find(part)
    while place >= 0:
        yield place
        end = block.find(_END, place)
        if end < 0:
            raise CorruptionError("metadata column: a string has no end")
        place = block.find(part, end)


def encode_big_int(value: int) -> bytes:
    """Sign, length, magnitude (big-endian); complemented for a negative number, so that a longer
    one comes first.
    """
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    body = size.to_bytes(4, "big") + magnitude.to_bytes(size, "big")
    return b"\0" + body.translate(_COMPLEMENT) if value < 0 else b"\1" + body


def encode_bytes(values: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Offsets and text of ``ByteValues``. Raises ``ValueError`` if they are too long for 32-bit
    offsets.
    """
    parts = [value + _END for value in values]
    offsets = np.zeros(len(parts) + 1, dtype=np.uint64)
    np.cumsum(np.fromiter(map(len, parts), dtype=np.uint64, count=len(parts)), out=offsets[1:])
    if int(offsets[-1]) > MAX_TEXT:
        raise ValueError("the strings of one metadata field exceed 4 GiB in one segment")
    return offsets.astype("<u4").tobytes(), b"".join(parts)


def _whole(operand: int | float, side: Side) -> int | float:
    """The integer that divides integers as ``operand`` does: x < 2.5 as x < 3, x <= 2.5 as x <= 2.
    Infinities stay.
    """
    if isinstance(operand, int) or math.isinf(operand):
        return operand
    return math.ceil(operand) if side == "left" else math.floor(operand)


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise CorruptionError(f"metadata column: {fault}")


def texts(values: ByteValues) -> Iterator[str]:
    """All values as text, for listing field names."""
    for index in range(len(values)):
        try:
            yield values.get(index).decode("utf-8")
        except UnicodeDecodeError:
            raise CorruptionError("metadata column: a string is not UTF-8") from None
