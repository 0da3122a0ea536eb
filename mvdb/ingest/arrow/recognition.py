"""Arrow data is recognised without pyarrow (the extra ``arrow``), which is imported when some is
given and not before."""

from __future__ import annotations

import sys


def is_arrow(value: object) -> bool:
    """Whether it is Arrow data: a pyarrow Dataset or anything with the Arrow C stream interface
    (pyarrow tables, record batches and readers, data frames)."""
    if hasattr(type(value), "__arrow_c_stream__"):
        return True
    dataset = sys.modules.get("pyarrow.dataset")
    return dataset is not None and isinstance(value, dataset.Dataset)
