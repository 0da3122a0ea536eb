"""Haystack's filters to filters of mvdb.

A field has no prefix in mvdb: `meta.year` is `year`. As in Haystack's own stores, `==` None holds
for null and for a missing field, an order with None holds for no document, and strings are ordered
if they are ISO 8601 dates alone. They are ordered as strings, so all dates of a field should be
written in one form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from haystack.dataclasses import Document

from mvdb.errors import shown
from mvdb.integrations.filter_parts import (
    NOTHING,
    Filter,
    all_of,
    any_of,
    check_depth,
    condition,
    negated,
)
from mvdb.integrations.haystack.haystack_errors import RefusedFilterError, both

_PREFIX = "meta."
_OWN_FIELDS = {field.name for field in fields(Document)}
_ORDERS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ].*)?")


def translated(filters: Any) -> Filter | None:
    """The filter of mvdb with the same meaning; None: no condition.

    Raises RefusedFilterError, which names what is missing, unknown or not to be translated."""
    if filters is None or filters == {}:
        return None
    with both():
        return _part(filters, 1)


def _part(given: Any, depth: int) -> Filter:
    check_depth(depth)
    if not isinstance(given, dict):
        raise RefusedFilterError(f"filters: a dict is needed, not {shown(given)}")
    if "field" in given:
        return _comparison(given)
    operator = _value(given, "operator")
    join = _JOINS.get(operator) if isinstance(operator, str) else None
    if join is None:
        raise RefusedFilterError(
            f"filters: the operator {shown(operator)} without a field is not one of AND, OR, NOT"
        )
    conditions = _value(given, "conditions")
    if not isinstance(conditions, list):
        raise RefusedFilterError(f"filters: conditions are a list, not {shown(conditions)}")
    return join([_part(one, depth + 1) for one in conditions])


_JOINS: dict[str, Callable[[list[Filter]], Filter]] = {
    "AND": all_of,
    "OR": any_of,
    "NOT": lambda parts: negated(all_of(parts)),
}


def _comparison(given: dict[str, Any]) -> Filter:
    field = _path(given["field"])
    operator, value = _value(given, "operator"), _value(given, "value")
    if operator == "==":
        return _equal(field, value)
    if operator == "!=":
        return negated(_equal(field, value))
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            raise RefusedFilterError(f"filters: {operator!r} on {field!r} needs a list")
        found = condition(field, "$in", [one for one in value if one is not None])
        if any(one is None for one in value):
            found = any_of([found, _equal(field, None)])
        return found if operator == "in" else negated(found)
    if operator in _ORDERS:
        return _ordered(field, operator, value)
    raise RefusedFilterError(
        f"filters: the operator {shown(operator)} on {field!r} is not one of ==, !=, >, >=, <, <=, "
        "in, not in"
    )


def _equal(field: str, value: Any) -> Filter:
    if value is None:
        return any_of([condition(field, "$eq", None), condition(field, "$exists", False)])
    return condition(field, "$eq", value)


def _ordered(field: str, operator: str, value: Any) -> Filter:
    if value is None:
        return NOTHING
    if isinstance(value, str) and not _DATE.fullmatch(value):
        raise RefusedFilterError(
            f"filters: {operator!r} on {field!r} needs a number or an ISO 8601 date, not "
            f"{shown(value)}"
        )
    return condition(field, _ORDERS[operator], value)


def _path(field: Any) -> str:
    """The field in mvdb. Without the prefix it is one of the metadata, unless documents have it
    themselves or it is nested."""
    if isinstance(field, str):
        if field.startswith(_PREFIX):
            return field.removeprefix(_PREFIX)
        if "." not in field and field not in _OWN_FIELDS:
            return field
    raise RefusedFilterError(
        f"filters: the field {shown(field)} is not one of the metadata, as meta.year is"
    )


def _value(given: dict[str, Any], key: str) -> Any:
    if key not in given:
        raise RefusedFilterError(f"filters: {key!r} is missing in {shown(given)}")
    return given[key]
