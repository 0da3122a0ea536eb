"""Databases opened with limits of the test's own, so that small files reach the behaviour of large
ones."""

from __future__ import annotations

import inspect
import os
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
