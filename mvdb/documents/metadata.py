"""Metadata of a document: what is accepted, and its one written form (compact UTF-8 JSON, keys in
the order given).
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import numpy as np

from mvdb.errors import CorruptionError

# Bounds on one document, so that hostile metadata cannot exhaust the stack or unfold shared parts
# without end.
MAX_DEPTH = 64
MAX_VALUES = 1_000_000
# 617 decimal digits: below the least limit that Python can be set to for reading an integer from
# text (640 digits), so that what was written can always be read.
MAX_INT_BITS = 2048
MAX_BYTES = 1 << 24
MAX_PATH_BYTES = 1 << 26
"""Of the paths of all its values together: a long key before many others multiplies."""
_MAX_SHOWN = 60
_PIECE = 1 << 20
_NUMPY_KINDS = "biufU"
"""Bools, integers, floats and strings: what numpy and JSON both have."""
_CONVERSIONS = {
    **dict.fromkeys(("datetime", "date", "time", "Timestamp"), "isoformat()"),
    "datetime64": "item().isoformat()",
    "ndarray": "tolist()",
}
"""The method that makes JSON of a value, by the name of its type."""


class Written(bytes):
    """Metadata in its written form, checked."""


def written(value: object, where: str = "metadata") -> Written:
    """The written form of metadata: compact UTF-8 JSON, of at most ``MAX_BYTES``.

    Raises what `validate_metadata` raises."""
    validate_metadata(value, where)
    return Written(dumps(value))  # type: ignore[arg-type]


def plain(value: object) -> object:
    """A scalar of numpy (or an array of no dimensions) as Python's own value, where JSON has its
    kind; anything else as it is."""
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        return value.item() if value.dtype.kind in _NUMPY_KINDS else value
    return value


def validate_metadata(value: object, where: str = "metadata") -> None:
    """Check that ``value`` is a JSON object that can be stored and filtered exactly as given.

    Accepted: a ``dict`` with ``str`` keys (any, the empty one and ones with dots or ``$`` too)
    whose values are ``None``, ``bool``, ``int`` of up to ``MAX_INT_BITS`` bits, finite ``float``,
    ``str`` without lone surrogates, scalars of numpy (see `plain`), and lists, tuples (which come
    back as lists) and dicts of these, nested up to ``MAX_DEPTH``. Integers outside 64 bits are
    stored and filtered exactly like any other number.

    Raises ``TypeError`` for a value of a type that JSON has not and ``ValueError`` for one that
    cannot be written; the message begins with ``where`` and the path of the fault, as in
    ``metadata.tags[2]: ...``.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{where}: expected a JSON object (dict), got {type(value).__name__}")
    _Validator(where).check(value, (), 1)


class _Validator:
    def __init__(self, where: str) -> None:
        self._where = where
        self._values = 0
        self._path_bytes = 0

    def check(self, value: object, path: tuple[str | int, ...], depth: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"{self._where}: a document has at most {MAX_VALUES} values")
        if isinstance(value, (np.generic, np.ndarray)):
            value = plain(value)
        if isinstance(value, str):
            self._text(value, path)
        elif isinstance(value, dict):
            self._depth(path, depth)
            for key, child in value.items():
                if not isinstance(key, str):
                    got = type(key).__name__
                    raise TypeError(f"{self._at(path)}: expected keys that are strings, got {got}")
                inner = (*path, key)
                self._text(key, inner)
                self._path(inner)
                self.check(child, inner, depth + 1)
        elif isinstance(value, (list, tuple)):
            self._depth(path, depth)
            for index, child in enumerate(value):
                self.check(child, (*path, index), depth + 1)
        else:
            self._number(value, path)

    def _path(self, path: tuple[str | int, ...]) -> None:
        self._path_bytes += sum(len(part) + 1 for part in path if isinstance(part, str))
        if self._path_bytes > MAX_PATH_BYTES:
            raise ValueError(f"{self._where}: paths of more than {MAX_PATH_BYTES} bytes in all")

    def _number(self, value: object, path: tuple[str | int, ...]) -> None:
        if value is None or isinstance(value, bool):
            return
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise ValueError(f"{self._at(path)}: an integer has at most {MAX_INT_BITS} bits")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"{self._at(path)}: JSON has no {value}; use None")
        else:
            got = type(value).__name__
            how = f", with .{_CONVERSIONS[got]}" if got in _CONVERSIONS else ""
            raise TypeError(f"{self._at(path)}: JSON has no {got}; convert it first{how}")

    def _text(self, value: str, path: tuple[str | int, ...]) -> None:
        if value.isascii():
            return
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            at = self._at(path)
            raise ValueError(f"{at}: a string with a lone surrogate is not Unicode text") from None

    def _depth(self, path: tuple[str | int, ...], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"{self._at(path)}: metadata is nested at most {MAX_DEPTH} deep")

    def _at(self, path: tuple[str | int, ...]) -> str:
        """The path for a message: made only when there is a fault."""
        parts = [f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path]
        return self._where + "".join(parts)


def _shown(key: str) -> str:
    text = key if key.isprintable() else ascii(key)[1:-1]
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def dumps(value: dict[str, Any]) -> bytes:
    """The written form of validated metadata. Raises ``ValueError`` for NaN, Inf or a lone
    surrogate, and for more than ``MAX_BYTES``.
    """
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
    )
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("metadata: a string with a lone surrogate is not Unicode text") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"metadata: {len(data)} bytes as JSON; a document has at most {MAX_BYTES}")
    return data


def loads(data: bytes | memoryview) -> dict[str, Any]:
    """Metadata from its written form. Raises ``CorruptionError`` for anything that ``dumps`` does
    not write.
    """
    _check_size(data)
    try:
        value = json.loads(str(data, "utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"stored metadata is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptionError(f"stored metadata is not a JSON object but {type(value).__name__}")
    return value


def cost(data: bytes) -> int:
    """About how many values there are in stored metadata, and one for each 64 bytes."""
    return data.count(b",") + data.count(b"[") + data.count(b"{") + len(data) // 64


def _check_size(data: bytes | memoryview) -> None:
    """Before values are made of stored text, which take up to a hundred times its size: there are
    not more than may be written. A value is followed by a comma or opens something, or is the last
    of what is open."""
    if len(data) > MAX_BYTES:
        raise CorruptionError(f"stored metadata has {len(data)} bytes, more than {MAX_BYTES}")
    if len(data) > 2 * MAX_VALUES:
        commas, opened = _count_outside_strings(bytes(data))
        if max(commas, opened) > MAX_VALUES:
            raise CorruptionError(f"stored metadata has more than {MAX_VALUES} values")


def _count_outside_strings(data: bytes) -> tuple[int, int]:
    """Commas, and opening brackets and braces, that are not in strings."""
    # Without escapes every quotation mark begins or ends a string.
    plain = np.frombuffer(data.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    commas = opened = 0
    inside = 0
    for at in range(0, len(plain), _PIECE):
        piece = plain[at : at + _PIECE]
        outside = np.cumsum(piece == ord('"'), dtype=np.uint8) + np.uint8(inside) & 1 == 0
        commas += int(np.count_nonzero(outside & (piece == ord(","))))
        opened += int(np.count_nonzero(outside & ((piece == ord("[")) | (piece == ord("{")))))
        inside = int(not outside[-1])
    return commas, opened


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
