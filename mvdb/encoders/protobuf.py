"""The wire format of Protocol Buffers, as far as ONNX files need it.

A message is a sequence of fields; a field is a varint ``number << 3 | type`` and its value: type 0
a varint, 2 a length (varint) and bytes, 5 four bytes. Reference: "Encoding" in the documentation of
Protocol Buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """A whole number >= 0."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def whole_field(number: int, value: int) -> bytes:
    """A field of type 0; negative numbers as two's complement of 64 bits."""
    return varint(number << 3 | _VARINT) + varint(value & (1 << 64) - 1)


def float_field(number: int, value: float) -> bytes:
    """A field of type 5, float32."""
    return varint(number << 3 | _FOUR_BYTES) + struct.pack("<f", value)


def bytes_field(number: int, value: bytes | str) -> bytes:
    """A field of type 2: bytes, a text or a message."""
    content = value.encode("utf-8") if isinstance(value, str) else value
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message: a whole number, or bytes (views of the message).

    Raises:
        ValueError: the bytes are no message.
    """
    offset = 0
    while offset < len(message):
        key, offset = read_varint(message, offset)
        if key & 7 == _VARINT:
            value, offset = read_varint(message, offset)
            yield key >> 3, value
            continue
        length = {_FOUR_BYTES: 4, _EIGHT_BYTES: 8}.get(key & 7)
        if key & 7 == _BYTES:
            length, offset = read_varint(message, offset)
        if length is None or length > len(message) - offset:
            raise ValueError(f"no field of Protocol Buffers at byte {offset}")
        yield key >> 3, message[offset : offset + length]
        offset += length


def read_varint(message: memoryview, offset: int) -> tuple[int, int]:
    """The varint at an offset, and the offset behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(message):
            break
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise ValueError(f"no varint of Protocol Buffers at byte {offset}")
