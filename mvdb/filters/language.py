"""The filter language: from the mapping a caller writes to an immutable tree.

docs/howto-filters.md describes the language; its examples are run as tests. In short:

- The path of a value is its keys joined with dots. Lists add nothing to a path: each element, and
  each field of an object in a list, is a value at the list's own path. A path that begins with `$`
  can be stored but not named in a filter.
- A condition holds for a document if at least one of its values at the path satisfies it. `$ne`,
  `$nin` and `$not` match exactly the documents for which the positive form does not hold.
- `$contains` looks for an element of a list, or for a substring of a string that is no element.
- Numbers compare by exact value, int against float and of any size; a bool is not a number. Strings
  compare by Unicode code points. `null` equals only an explicit null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mvdb.documents.metadata import plain
from mvdb.errors import FilterError

# Filters are untrusted: these bound the recursion and the work of one evaluation.
MAX_DEPTH = 64
MAX_NODES = 10_000
MAX_VALUES = 1_000_000
_MAX_SHOWN = 60

Scalar = bool | int | float | str | None
Comparison = Literal["$gt", "$gte", "$lt", "$lte"]

_COMPARISONS: tuple[Comparison, ...] = ("$gt", "$gte", "$lt", "$lte")
_NEGATED = {"$ne": "$eq", "$nin": "$in"}
_FIELD_OPERATORS = (
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains", "$not"
)  # fmt: skip
_TOP_OPERATORS = ("$and", "$or", "$not")
_TYPE_NAMES = {dict: "object", type(None): "null"}


@dataclass(frozen=True, slots=True)
class And:
    """Every node holds; no node at all matches every document."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one node holds."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of a node."""

    node: Node


@dataclass(frozen=True, slots=True)
class In:
    """A value at ``path`` equals one of ``values``; ``$eq`` is the case of one value."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A value at ``path``, of the operand's type, stands in the given order to ``value``."""

    path: str
    operator: Comparison
    value: int | float | str


@dataclass(frozen=True, slots=True)
class Contains:
    """A list at ``path`` has the element ``value``, or a string there has it as a substring."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Exists:
    """``path`` is there, whatever its value."""

    path: str


Node = And | Or | Not | In | Compare | Contains | Exists


def parse(filter: Mapping[str, Any]) -> Node:
    """The tree of a filter. Scalars of numpy are taken as the values they hold.

    Raises ``FilterError``, whose message begins with the path of the fault (``filter.year.$gte:
    ...``), for a malformed filter and for one that is deeper than ``MAX_DEPTH``, has more than
    ``MAX_NODES`` objects and conditions or lists more than ``MAX_VALUES`` values.
    """
    return _Parser().filter(filter, "filter", 1)


class _Parser:
    """One parse. Counts nodes and values, so that a small filter that shares parts cannot unfold
    without bound."""

    def __init__(self) -> None:
        self._nodes = 0
        self._values = 0

    def filter(self, value: object, where: str, depth: int) -> Node:
        mapping = _mapping(value, where, "an object of fields")
        self._enter(where, depth)
        return _all_of([self._key(*_key(item, where), depth) for item in mapping.items()])

    def _key(self, key: str, operand: object, where: str, depth: int) -> Node:
        if key in ("$and", "$or"):
            nodes = self._filters(operand, where, depth)
            return And(nodes) if key == "$and" else Or(nodes)
        if key == "$not":
            return Not(self.filter(operand, where, depth + 1))
        if key.startswith("$"):
            if key in _FIELD_OPERATORS:
                example = f'{{"year": {{"{key}": ...}}}}'
                raise FilterError(f"{where}: this operator stands under a field, as in {example}")
            raise FilterError(f"{where}: unknown operator; here one of {', '.join(_TOP_OPERATORS)}")
        if isinstance(operand, Mapping):
            return self._operators(key, operand, where, depth + 1)
        self._enter(where, depth)
        return In(key, (_scalar(operand, where),))

    def _filters(self, operand: object, where: str, depth: int) -> tuple[Node, ...]:
        if not isinstance(operand, (list, tuple)) or not operand:
            got = "an empty one" if isinstance(operand, (list, tuple)) else _type(operand)
            raise FilterError(f"{where}: expected a non-empty list of filters, got {got}")
        return tuple(
            self.filter(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(operand)
        )

    def _operators(self, path: str, operand: object, where: str, depth: int) -> Node:
        mapping = _mapping(operand, where, "an object of operators")
        if not mapping:
            raise FilterError(f"{where}: expected at least one operator, got an empty object")
        self._enter(where, depth)
        nodes = []
        for item in mapping.items():
            key, value, inner = _key(item, where)
            if not key.startswith("$"):
                dotted = _shown(f"{path}.{key}")
                raise FilterError(
                    f"{inner}: expected an operator; a nested field is written '{dotted}'"
                )
            self._enter(inner, depth)
            nodes.append(self._condition(path, key, value, inner, depth))
        return _all_of(nodes)

    def _condition(self, path: str, operator: str, operand: object, where: str, depth: int) -> Node:
        if operator in _NEGATED:
            return Not(self._condition(path, _NEGATED[operator], operand, where, depth))
        if operator == "$eq":
            return In(path, (_scalar(operand, where),))
        if operator in _COMPARISONS:
            return Compare(path, operator, _ordered(operand, where))
        if operator == "$in":
            return In(path, self._list(operand, where))
        if operator == "$contains":
            return Contains(path, _scalar(operand, where))
        if operator == "$exists":
            if not isinstance(operand, (bool, np.bool_)):
                raise FilterError(f"{where}: expected true or false, got {_type(operand)}")
            return Exists(path) if operand else Not(Exists(path))
        if operator == "$not":
            return Not(self._operators(path, operand, where, depth + 1))
        if operator in _TOP_OPERATORS:
            example = f'{{"{operator}": [{{...}}, {{...}}]}}'
            raise FilterError(f"{where}: this operator stands above fields, as in {example}")
        raise FilterError(f"{where}: unknown operator; here one of {', '.join(_FIELD_OPERATORS)}")

    def _list(self, operand: object, where: str) -> tuple[Scalar, ...]:
        if not isinstance(operand, (list, tuple, set, frozenset)):
            raise FilterError(f"{where}: expected a list of values, got {_type(operand)}")
        self._values += len(operand)
        if self._values > MAX_VALUES:
            raise FilterError(f"{where}: a filter lists at most {MAX_VALUES} values")
        items: Iterable[object] = operand
        return tuple(_scalar(item, f"{where}[{index}]") for index, item in enumerate(items))

    def _enter(self, where: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise FilterError(f"{where}: a filter is nested at most {MAX_DEPTH} deep")
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FilterError(f"{where}: a filter has at most {MAX_NODES} objects and conditions")


def _all_of(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else And(tuple(nodes))


def _mapping(value: object, where: str, wanted: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise FilterError(f"{where}: expected {wanted}, got {_type(value)}")
    return value


def _key(item: tuple[Any, Any], where: str) -> tuple[str, object, str]:
    """The key, its operand and the path of the key for messages."""
    key, operand = item
    if not isinstance(key, str):
        raise FilterError(f"{where}: expected keys that are strings, got {_type(key)}")
    inner = f"{where}.{_shown(key)}"
    return _text(key, inner), operand, inner


def _ordered(operand: object, where: str) -> int | float | str:
    """An operand that has an order: a number or a string."""
    operand = plain(operand)
    if operand is None or isinstance(operand, bool) or not isinstance(operand, (int, float, str)):
        raise FilterError(f"{where}: expected a number or a string, got {_type(operand)}")
    value = _scalar(operand, where)
    assert value is not None  # for the type checker: None was refused above
    return value


def _scalar(operand: object, where: str) -> Scalar:
    """The operand as exactly one of the JSON scalars: subclasses (enumerations, numpy scalars)
    become the plain value.
    """
    operand = plain(operand)
    if operand is None or isinstance(operand, bool):
        return operand
    if isinstance(operand, int):
        return int(operand)
    if isinstance(operand, float):
        if math.isnan(operand):
            raise FilterError(f"{where}: NaN equals nothing and has no order")
        return float(operand)
    if isinstance(operand, str):
        return _text(operand, where)
    hint = "; to match one of several values use $in" if isinstance(operand, (list, tuple)) else ""
    raise FilterError(
        f"{where}: expected a string, number, bool or null, got {_type(operand)}{hint}"
    )


def _text(value: str, where: str) -> str:
    text = str.__str__(value)  # not str(): an enumeration would give its name
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FilterError(f"{where}: a string with a lone surrogate is not Unicode text") from None
    return text


def _shown(key: str) -> str:
    """A key as it may stand in a message: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in key[: _MAX_SHOWN + 1])
    return printable if len(key) <= _MAX_SHOWN else printable[:_MAX_SHOWN] + "..."


def _type(value: object) -> str:
    return _TYPE_NAMES.get(type(value), type(value).__name__)
