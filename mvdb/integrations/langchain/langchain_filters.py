"""LangChain's structured queries to filters of mvdb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from mvdb.errors import FilterError
from mvdb.integrations.filter_parts import Filter, all_of, any_of, condition, negated

_OPERATORS = {
    Comparator.EQ: "$eq",
    Comparator.NE: "$ne",
    Comparator.GT: "$gt",
    Comparator.GTE: "$gte",
    Comparator.LT: "$lt",
    Comparator.LTE: "$lte",
    Comparator.CONTAIN: "$contains",
    Comparator.IN: "$in",
    Comparator.NIN: "$nin",
}


class MvdbTranslator(Visitor):
    """A `langchain_core.structured_query.Visitor`, for retrievers whose filter a model writes.

    Every comparator but `like` is translated; `like` raises FilterError. A date is compared as the
    string that it is written as."""

    allowed_comparators = tuple(_OPERATORS)
    allowed_operators = (Operator.AND, Operator.OR, Operator.NOT)

    def visit_operation(self, operation: Operation) -> Filter:
        """`and`, `or` and `not` of the arguments; `not` takes one."""
        parts = [argument.accept(self) for argument in operation.arguments]
        if operation.operator == Operator.NOT:
            if len(parts) != 1:
                raise FilterError(f"filter: `not` takes one argument, not {len(parts)}")
            return negated(parts[0])
        return all_of(parts) if operation.operator == Operator.AND else any_of(parts)

    def visit_comparison(self, comparison: Comparison) -> Filter:
        """One operator on one attribute."""
        operator = _OPERATORS.get(comparison.comparator)
        if operator is None:
            raise FilterError(
                f"filter: the comparator {comparison.comparator.value!r} on "
                f"{comparison.attribute!r} has no counterpart in mvdb; `contain` finds a substring"
            )
        value = comparison.value
        if isinstance(value, Mapping) and value.get("type") in ("date", "datetime"):
            value = value[value["type"]]
        return condition(comparison.attribute, operator, value)

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, Any]:
        """The words of the query, and the keyword arguments of the search."""
        if structured_query.filter is None:
            return structured_query.query, {}
        return structured_query.query, {"filter": structured_query.filter.accept(self)}
