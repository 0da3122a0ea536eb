"""Thresholds of searches, so that small files are searched like large ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from mvdb.search import plan, search


@contextmanager
def searched_by_lists(*, candidates: int = 8) -> Iterator[None]:
    """Within the block searches of this process take the lists wherever there are any and more than
    `candidates` documents are allowed: these, or k if it is more, are looked at by default."""
    wanted: list[tuple[object, str, object]] = [
        (plan, "_ENOUGH", 0.0),
        (plan, "choose", _lists_if_possible),
        (search, "MIN_CANDIDATES", candidates),
        (search, "MIN_CANDIDATES_EXTENDED", candidates),
        (search, "CANDIDATES_PER_HIT", 1),
        (search, "CANDIDATES_FACTOR", 0),
    ]
    with _patched(wanted):
        yield


def _lists_if_possible(estimates: dict[str, float], n_allowed: int, wanted: int) -> str:
    if n_allowed <= wanted:
        return plan.EXACT
    return plan.LISTS if plan.LISTS in estimates else plan.INTERACTION


@contextmanager
def _patched(wanted: list[tuple[object, str, object]]) -> Iterator[None]:
    with ExitStack() as patches:
        for module, name, value in wanted:
            if value is not None:
                patches.enter_context(mock.patch.object(module, name, value))
        yield
