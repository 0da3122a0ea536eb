"""LlamaIndex's metadata filters to filters of mvdb."""

from __future__ import annotations

import math
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from mvdb.errors import FilterError
from mvdb.integrations.filter_parts import (
    Filter,
    all_of,
    any_of,
    check_depth,
    condition,
    negated,
)

_OPERATORS = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
    FilterOperator.CONTAINS: "$contains",
    FilterOperator.TEXT_MATCH: "$contains",
}


def translated(filters: MetadataFilters, depth: int = 1) -> Filter:
    """The filter of mvdb with the same meaning.

    Raises FilterError for `text_match_insensitive`, which has none, and for a value that does not
    go with its operator; mvdb raises it for the others when it reads the filter."""
    check_depth(depth)
    parts = [
        translated(one, depth + 1) if isinstance(one, MetadataFilters) else _one(one)
        for one in filters.filters
    ]
    if filters.condition == FilterCondition.OR:
        return any_of(parts)
    if filters.condition == FilterCondition.NOT:  # none of them holds
        return negated(any_of(parts))
    return all_of(parts)


def _one(given: MetadataFilter) -> Filter:
    field, operator, value = given.key, given.operator, given.value
    if operator == FilterOperator.IS_EMPTY:
        return negated(_has_value(field))
    if value is None:
        raise FilterError(
            f"filter: {field!r} {operator.value} needs a value; is_empty finds missing and null"
        )
    if operator in (FilterOperator.ANY, FilterOperator.ALL):
        join = any_of if operator == FilterOperator.ANY else all_of
        return join([condition(field, "$contains", one) for one in _listed(given)])
    if operator == FilterOperator.TEXT_MATCH and not isinstance(value, str):
        raise FilterError(f"filter: {field!r} text_match needs a string, not {value!r}")
    if operator not in _OPERATORS:
        raise FilterError(
            f"filter: the operator {operator.value!r} on {field!r} has no counterpart in mvdb; "
            "text_match heeds upper and lower case, and a search by words does not"
        )
    return condition(field, _OPERATORS[operator], value)


def _listed(given: MetadataFilter) -> list[Any]:
    if isinstance(given.value, list):
        return given.value
    raise FilterError(
        f"filter: {given.key!r} {given.operator.value} needs a list, not {given.value!r}"
    )


def _has_value(field: str) -> Filter:
    """Whether there is a value at the field that is neither null nor the empty string."""
    return any_of(
        [
            condition(field, "$gt", ""),
            condition(field, "$gte", -math.inf),
            condition(field, "$in", [True, False]),
        ]
    )
