"""Comparisons of stored values that must agree.

docs/format.md has the table of all such invariants, each with the test that breaks it. Bytes are
untrusted: redundant values of a file are compared before their use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError


def require(holds: bool, where: str, fault: str) -> None:
    """CorruptionError, with place and fault, unless it holds."""
    if not holds:
        raise CorruptionError(f"{where}: {fault}")


def ascends(numbers: NDArray[np.unsignedinteger]) -> bool:
    """Whether each number is greater than the one before."""
    return not bool((numbers[1:] <= numbers[:-1]).any())


def is_cut(starts: NDArray[np.unsignedinteger], total: int) -> bool:
    """Whether starts cut 0..total into parts that are not empty."""
    return int(starts[0]) == 0 and int(starts[-1]) == total and ascends(starts)
