"""Databases opened with limits of the test's own, so that small files reach the behaviour of large
ones."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from typing import Any

import mvdb
from mvdb.api import open_options
from mvdb.api.database import Database
from mvdb.api.open import open_engine
from mvdb.limits import Limits

DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(mvdb.open).parameters.items()
    if name != "path"
}


def opened(path: str | os.PathLike[str], limits: Limits, **arguments: Any) -> Database:
    """`mvdb.open(path, **arguments)` with these limits."""
    options = open_options.check(path, **{**DEFAULTS, **arguments})
    return Database(open_engine(options, limits))


def by_lists(limits: Limits | None = None, *, candidates: int = 8) -> Limits:
    """The same limits, but searches take the posting lists wherever there are any and more than
    `candidates` documents are allowed: so many, or k if it is more, are candidates by default."""
    return replace(
        limits or Limits(),
        min_candidates=candidates,
        candidates_per_hit=1,
        candidates_factor=0.0,
        list_surplus=0.0,
        list_cost=0.0,
    )
