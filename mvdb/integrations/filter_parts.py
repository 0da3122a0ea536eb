"""Parts of mvdb's filters that translations of other filter languages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mvdb.errors import FilterError

Filter = dict[str, Any]

MAX_DEPTH = 60
"""Of a filter to translate. mvdb's own limit is 64, and a translation adds up to 4."""

EVERYTHING: Filter = {}
NOTHING: Filter = {"$not": {}}


def condition(field: str, operator: str, value: Any) -> Filter:
    """One operator on one field."""
    return {field: {operator: value}}


def all_of(parts: Sequence[Filter]) -> Filter:
    """Each part holds; without parts it holds for every document."""
    return EVERYTHING if not parts else parts[0] if len(parts) == 1 else {"$and": list(parts)}


def any_of(parts: Sequence[Filter]) -> Filter:
    """At least one part holds; without parts it holds for no document."""
    return NOTHING if not parts else parts[0] if len(parts) == 1 else {"$or": list(parts)}


def negated(part: Filter) -> Filter:
    """The complement."""
    return {"$not": part}


def check_depth(depth: int) -> None:
    """FilterError for a filter that is nested too deep to be translated."""
    if depth > MAX_DEPTH:
        raise FilterError(f"filter: it is nested more than {MAX_DEPTH} deep")
