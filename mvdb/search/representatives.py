"""The tokens of a stored document that stand for it in a query."""

from __future__ import annotations

import numpy as np

from mvdb import core

MAX_TOKENS = 64
"""The time of a search grows with the tokens of its query."""


def representative(vectors: core.Floats) -> core.Floats:
    """The vectors (n, dim) of a document, or MAX_TOKENS of them at equal distances: a systematic
    sample, whose mean of the greatest dot products estimates that of all tokens."""
    n = len(vectors)
    if n <= MAX_TOKENS:
        return vectors
    return vectors[np.arange(MAX_TOKENS) * n // MAX_TOKENS]
