"""External ids: strings and integers, kept apart, as keys that sort in id order.

A key is a type byte followed by the value: integers first (big-endian, sign flipped, so that bytes
sort as numbers do), then strings (UTF-8, which sorts as code points do).

In a database that separates tenants, a byte 3 and the number of the document's tenant stand before
that: equal ids of two tenants have two keys, and the keys of a tenant follow each other.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from mvdb.errors import CorruptionError, InvalidInputError, shown
from mvdb.types import Id

MAX_STRING_BYTES = 500
_INTEGER = 1
_STRING = 2
TENANT = 3
"""First byte of the key of an id that belongs to a tenant."""
_BIAS = 1 << 63


def tenant_prefix(number: int) -> bytes:
    """The first bytes of the keys of all ids of a tenant."""
    return bytes((TENANT,)) + number.to_bytes(4, "big")


PREFIX_BYTES = len(tenant_prefix(0))


def tenant_number(key: bytes) -> int | None:
    """The number of the tenant in the key of an id; None: it has none."""
    has_tenant = key[:1] == bytes((TENANT,)) and len(key) > PREFIX_BYTES
    return int.from_bytes(key[1:PREFIX_BYTES], "big") if has_tenant else None


def encode(value: Id) -> bytes:
    """The key of an id, without a tenant.

    Raises InvalidInputError for other types, integers beyond 64 bits, and strings that are empty,
    longer than 500 UTF-8 bytes, or not encodable."""
    if isinstance(value, str):
        return _encode_string(value)
    if isinstance(value, bool):
        raise InvalidInputError(f"an id is a str or an int, not a bool ({value})")
    try:
        number = operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise InvalidInputError(f"an id is a str or an int, not {kind} ({shown(value)})") from None
    if not -_BIAS <= number < _BIAS:
        raise InvalidInputError(f"id {shown(number)} does not fit a signed 64-bit integer")
    return bytes((_INTEGER,)) + (number + _BIAS).to_bytes(8, "big")


def _encode_string(value: str) -> bytes:
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(f"id {value!r} is not valid Unicode (lone surrogate)") from None
    if not 1 <= len(raw) <= MAX_STRING_BYTES:
        raise InvalidInputError(
            f"id {value[:40]!r}… has {len(raw)} UTF-8 bytes; 1 to {MAX_STRING_BYTES} are allowed"
            if raw
            else "an id must not be the empty string"
        )
    return bytes((_STRING,)) + raw


def plain(value: Id) -> Id:
    """The id as a plain `str` or `int`, the form in which `ids()` and hits give it."""
    return value if type(value) in (str, int) else decode(encode(value))


def decode(key: bytes | memoryview) -> Id:
    """The id of a key, with or without a tenant; CorruptionError for bytes that are no key."""
    raw = bytes(key)
    try:
        if raw[0] == TENANT:
            raw = raw[PREFIX_BYTES:]
        if raw[0] == _STRING and len(raw) > 1:
            return raw[1:].decode("utf-8")
        if raw[0] == _INTEGER and len(raw) == 9:
            return int.from_bytes(raw[1:], "big") - _BIAS
    except (IndexError, UnicodeDecodeError):
        pass
    raise CorruptionError(f"{raw[:20].hex()} is not the key of an id")


def as_list(value: Id | Sequence[Id]) -> list[Id]:
    """One id or a sequence of ids, as a list."""
    if is_single(value):
        return [value]  # type: ignore[list-item]
    try:
        return list(value)  # type: ignore[arg-type]
    except OverflowError:  # a range of more than any memory holds
        raise InvalidInputError(f"ids: {shown(value)} has too many entries for one call") from None


def is_single(value: object) -> bool:
    """Whether one id alone was given. Bytes count as one (which `encode` refuses), not as a
    sequence of small integers."""
    if isinstance(value, (str, int, bytes, bytearray)) or not hasattr(value, "__iter__"):
        return True
    return getattr(value, "ndim", 1) == 0
