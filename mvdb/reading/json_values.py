"""Values of foreign files as JSON: what metadata of a document can hold, within bounds."""

from __future__ import annotations

import datetime
import math
from typing import Any

MOST_CHARACTERS = 1 << 16
"""Of all keys and values together, as often as they are said."""
MOST_VALUES = 10_000
MOST_DEPTH = 32
_MOST_INTEGER = 2**63


class NoJsonError(ValueError):
    """A value that JSON has not, or too much of it; the message says what."""


def json_object(value: Any) -> dict[str, Any]:
    """A mapping as a JSON object: dates and times in ISO 8601, keys as strings, sets and tuples as
    lists.

    NoJsonError: it is no mapping, or holds NaN, infinity, bytes, a lone surrogate, an integer of
    more than 64 bits or an object; or it is nested more than MOST_DEPTH deep, or larger than
    MOST_VALUES values or MOST_CHARACTERS characters, where a part used twice counts twice."""
    if not isinstance(value, dict):
        raise NoJsonError("it is no mapping of names to values")
    result = _Conversion().value(value, 1)
    assert isinstance(result, dict)
    return result


def properties(found: dict[str, Any]) -> dict[str, Any]:
    """The properties that a library found, without empty ones; none at all if JSON cannot hold them
    within bounds."""
    try:
        return json_object({name: one for name, one in found.items() if one not in (None, "")})
    except NoJsonError:
        return {}


class _Conversion:
    def __init__(self) -> None:
        self._values = 0
        self._characters = 0

    def value(self, value: Any, depth: int) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise NoJsonError(f"it has more than {MOST_VALUES:,} values")
        if depth > MOST_DEPTH:
            raise NoJsonError(f"it is nested more than {MOST_DEPTH} deep")
        if isinstance(value, dict):
            return {self._key(key): self.value(one, depth + 1) for key, one in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(one, depth + 1) for one in value]
        return self._scalar(value)

    def _key(self, key: Any) -> str:
        if isinstance(key, bool) or key is None:
            return {True: "true", False: "false", None: "null"}[key]
        return str(self._scalar(key))

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return self._text(value.isoformat())
        if isinstance(value, int):
            if not -_MOST_INTEGER <= value < _MOST_INTEGER:
                raise NoJsonError("it has an integer of more than 64 bits")
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NoJsonError(f"it has the number {value}, which JSON has not")
            return value
        raise NoJsonError(f"it has a value of type {type(value).__name__}")

    def _text(self, text: str) -> str:
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise NoJsonError(f"it has more than {MOST_CHARACTERS:,} characters")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NoJsonError("it has a lone surrogate, which is no Unicode text") from None
        return text
