"""Checks of plain arguments: numbers, times, flags, choices, functions, paths; one per kind.

Each raises InvalidInputError that begins with the argument's name and shows what was given.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mvdb.errors import FormatError, InvalidInputError, shown

_GREATEST = 2**63 - 1
_LONGEST = threading.TIMEOUT_MAX / 2
"""Seconds; half of the limit of locks, so that rounding cannot exceed it."""


def whole_number(
    name: str,
    value: Any,
    least: int,
    greatest: int = _GREATEST,
    *,
    what: str = "a whole number",
) -> int:
    """An integer of Python or numpy from `least` to `greatest`; a bool is refused. `what`: the noun
    in the message."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if whole and least <= value <= greatest:
        return int(value)
    limited = greatest < _GREATEST or (whole and value > greatest)
    limits = f"from {least} to {greatest}" if limited else f"of at least {least}"
    raise InvalidInputError(f"{name}: {what} {limits} is needed, not {shown(value)}")


def number(name: str, value: Any) -> float:
    """A number of Python or numpy that is not NaN; a bool is refused."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            result = math.inf if value > 0 else -math.inf
        if not math.isnan(result):
            return result
    raise InvalidInputError(f"{name}: a number is needed, not {shown(value)}")


def fraction(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    try:
        result = number(name, value)
    except InvalidInputError:
        result = -1.0
    if 0 <= result <= 1:
        return result
    raise InvalidInputError(f"{name}: a number from 0 to 1 is needed, not {shown(value)}")


def seconds(name: str, value: Any) -> float | None:
    """A time to wait, from 0 to the limit of the system's locks; None: for ever."""
    if value is None:
        return None
    try:
        time = number(name, value)
    except InvalidInputError:
        time = -1.0
    if time < 0:
        raise InvalidInputError(
            f"{name}: seconds from 0 on, or None to wait for ever, not {shown(value)}"
        )
    return min(time, _LONGEST)


def flag(name: str, value: Any) -> bool:
    """True or False, of Python or numpy; no other value stands for them."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InvalidInputError(f"{name}: True or False is needed, not {shown(value)}")


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of a few words."""
    if isinstance(value, str) and value in choices:
        return str(value)
    words = ", ".join(f'"{word}"' for word in choices)
    raise InvalidInputError(f"{name}: one of {words} is needed, not {shown(value)}")


def field_path(name: str, value: Any) -> str:
    """The path of a metadata field, as in a filter."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name}: the path of a field is needed, not {shown(value)}")
    path = str.__str__(value)  # not str(): an enumeration would give its name
    if path.startswith("$"):
        raise InvalidInputError(
            f"{name}: {shown(path)}: fields whose path begins with $ are stored, but not indexed"
        )
    if not path.isascii():
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInputError(
                f"{name}: a path with a lone surrogate is not Unicode text"
            ) from None
    return path


def function(name: str, value: Any) -> Callable[..., object] | None:
    """Something that can be called, or None."""
    if value is None or callable(value):
        return value  # type: ignore[no-any-return]
    raise InvalidInputError(f"{name}: a function or None is needed, not {shown(value)}")


def file_path(name: str, value: Any) -> str:
    """The path of a file, which need not exist: str, bytes or os.PathLike."""
    try:
        path = os.fsdecode(value)
        os.fsencode(path)  # may fail on a surrogate that stands for no byte
    except (TypeError, UnicodeError):
        raise InvalidInputError(
            f"{name}: the path of a file is needed, not {shown(value)}"
        ) from None
    if path == ":memory:":
        raise InvalidInputError(
            f'{name}: ":memory:": a database is a file; for a passing one give a path in '
            'tempfile.TemporaryDirectory() (a file of that very name is "./:memory:")'
        )
    if not path or "\0" in path:
        raise InvalidInputError(f"{name}: the path of a file is needed, not {shown(value)}")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if path.endswith(separators) or os.path.isdir(path):
        example = os.path.join(path, "notes.mvdb")
        raise FormatError(
            f"{name}: {path} is a directory, a database is one file; name one, such as {example}"
        )
    return path
