"""Optional libraries: the extra of the distribution that brings each, and what is said without it.
A library is imported when it is needed, never by `import mvdb`."""

from __future__ import annotations

import importlib
import re
from typing import Any


def remedy(extra: str) -> str:
    """The command that installs the libraries of an extra."""
    return f"pip install 'mvdb-engine[{extra}]'"


def library(module: str, extra: str, need: str) -> Any:
    """A module of an optional library.

    Raises ImportError that begins with `need`, who needs what, and names the extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{need} ({error}): {remedy(extra)}") from error


def pyarrow(module: str = "") -> Any:
    """The package pyarrow or a module of it.

    Raises ImportError that names the extra."""
    name = f"pyarrow.{module}" if module else "pyarrow"
    return library(name, "arrow", "Arrow data and Parquet files need pyarrow")


def major_minor(version: str) -> tuple[int, int]:
    """The first two numbers of a version; what follows does not decide."""
    major, minor, *_ = [*map(int, re.findall(r"\d+", version)), 0, 0]
    return major, minor
