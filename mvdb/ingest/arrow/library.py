"""pyarrow, an optional dependency (the extra ``arrow``): imported when Arrow data is given and not
before. Arrow objects are recognised without it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def pyarrow(module: str = "") -> Any:
    """The package pyarrow or a module of it.

    Raises ImportError that says how to install it."""
    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise ImportError(
            f"Arrow data and Parquet files need pyarrow ({error}): pip install 'mvdb-engine[arrow]'"
        ) from error


def is_arrow(value: object) -> bool:
    """Whether it is Arrow data: a pyarrow Dataset or anything with the Arrow C stream interface
    (pyarrow tables, record batches and readers, data frames)."""
    if hasattr(type(value), "__arrow_c_stream__"):
        return True
    dataset = sys.modules.get("pyarrow.dataset")
    return dataset is not None and isinstance(value, dataset.Dataset)
