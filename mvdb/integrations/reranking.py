"""Texts that need not be in a database, ranked by an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.encoders import Encoder


def ranked(
    encoder: Encoder, query: str, texts: Sequence[str], k: int | None = None
) -> list[tuple[int, float]]:
    """Positions of the best `k` texts (None: of all) with their MaxSim, in descending order; equal
    ones in the order given."""
    if not texts:
        return []
    rows = _unit_rows(encoder.encode_queries([query])[0])
    documents = encoder.encode_documents(list(texts))
    scores = [float((rows @ _unit_rows(one).T).max(axis=1).sum()) for one in documents]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])
    return [(index, scores[index]) for index in order[:k]]


def _unit_rows(matrix: NDArray[Any]) -> NDArray[np.float32]:
    rows = np.asarray(matrix, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.where(lengths == 0, np.float32(1), lengths)
    return unit
