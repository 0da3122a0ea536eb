"""Counts, facets and orders once more, slowly: from their documented meaning, on the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tests.catalogue.brute import found_at, is_number
from tests.support.model import Id, id_order

Rank = tuple[int, Any]


def rank(value: Any) -> Rank:
    """Its place in the order of values of all types. Equal values have one place."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 2 if value else 1, 0
    if is_number(value):
        return 3, Fraction(value)
    return 4, tuple(map(ord, value))


def values_at(metadata: Any, path: str) -> dict[Rank, Any]:
    """The distinct values of a document at a path."""
    found = [value for _, value in found_at(metadata or {}, path)]
    return {rank(value): value for value in found if not isinstance(value, (dict, list))}


def facets(documents: Mapping[Id, Any], path: str) -> list[tuple[Rank, int]]:
    """Values with the number of documents that have them, in the promised order."""
    counts: dict[Rank, int] = {}
    for metadata in documents.values():
        for place in values_at(metadata, path):
            counts[place] = counts.get(place, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def listed(documents: Mapping[Id, Any], path: str, *, descending: bool = False) -> list[Id]:
    """Ids by the values at a path; those without one come last."""
    by_id = sorted(documents, key=id_order)
    places = {name: list(values_at(documents[name], path)) for name in by_id}
    having = [name for name in by_id if places[name]]
    if descending:
        having.sort(key=lambda name: max(places[name]), reverse=True)  # stable: ids stay in order
    else:
        having.sort(key=lambda name: min(places[name]))
    return having + [name for name in by_id if not places[name]]
