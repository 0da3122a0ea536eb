"""The filter language once more, slowly: written from its documented meaning, on the metadata.

Independent of the code under test: it shares neither its tree nor its comparisons. Numbers are
compared as fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

Found = tuple[bool, Any]  # is it an element of a list?, the value


def found_at(metadata: Any, path: str, prefix: str | None = None) -> Iterator[Found]:
    """Everything at ``path``, objects and lists included."""
    for key, value in metadata.items():
        here = key if prefix is None else prefix + "." + key
        if here == path:
            yield False, value
            yield from ((True, element) for element in elements(value))
        for inner in [value, *elements(value)]:
            if isinstance(inner, dict):
                yield from found_at(inner, path, here)


def elements(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield element
            yield from elements(element)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def order(a: Any, b: Any) -> int | None:
    """-1, 0 or 1; ``None`` if the two have no order."""
    if is_number(a) and is_number(b):
        if b in (math.inf, -math.inf):
            return -1 if b > 0 else 1
        x, y = Fraction(a), Fraction(b)
        return (x > y) - (x < y)
    if isinstance(a, str) and isinstance(b, str):
        x_points, y_points = [ord(c) for c in a], [ord(c) for c in b]
        return (x_points > y_points) - (x_points < y_points)
    return None


def equal(a: Any, b: Any) -> bool:
    if a is None or isinstance(a, bool) or b is None or isinstance(b, bool):
        return a is b
    return order(a, b) == 0


def condition(metadata: Any, path: str, operator: str, operand: Any) -> bool:
    found = list(found_at(metadata, path))
    if operator == "$eq":
        return any(equal(value, operand) for _, value in found)
    if operator == "$ne":
        return not condition(metadata, path, "$eq", operand)
    if operator == "$in":
        return any(condition(metadata, path, "$eq", each) for each in operand)
    if operator == "$nin":
        return not condition(metadata, path, "$in", operand)
    if operator == "$exists":
        return bool(found) is operand
    if operator == "$not":
        return not all(condition(metadata, path, key, each) for key, each in operand.items())
    if operator == "$contains":
        return any(
            equal(value, operand)
            if element
            else isinstance(value, str) and isinstance(operand, str) and operand in value
            for element, value in found
        )
    wanted = {"$gt": (1,), "$gte": (0, 1), "$lt": (-1,), "$lte": (-1, 0)}[operator]
    return any(order(value, operand) in wanted for _, value in found)


def matches(metadata: Any, filter: dict[str, Any]) -> bool:
    return all(_matches_key(metadata or {}, key, operand) for key, operand in filter.items())


def _matches_key(metadata: Any, key: str, operand: Any) -> bool:
    if key == "$and":
        return all(matches(metadata, each) for each in operand)
    if key == "$or":
        return any(matches(metadata, each) for each in operand)
    if key == "$not":
        return not matches(metadata, operand)
    if isinstance(operand, dict):
        return all(condition(metadata, key, name, each) for name, each in operand.items())
    return condition(metadata, key, "$eq", operand)
