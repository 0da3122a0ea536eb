"""What training on the first documents means for those that come later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mvdb
from tests.support.model import Floats, unit
from tests.support.thresholds import lowered

LEAST_COSINE = {1: 0.75, 2: 0.92, 4: 0.99, 8: 0.999}


def documents(rng: np.random.Generator, around: Floats, count: int) -> list[Floats]:
    """Documents of ten tokens near some directions."""
    dim = around.shape[1]
    chosen = around[rng.integers(0, len(around), (count, 10))]
    noise = rng.standard_normal((count, 10, dim)) * (0.3 / np.sqrt(dim))
    return [unit(rows) for rows in chosen + noise]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("dim", [3, 48, 128])
def test_documents_unlike_all_before_keep_their_fidelity(
    tmp_path: Path, dim: int, bits: int
) -> None:
    """Trained on documents about four things, then come others about the opposite of these and
    about anything: each is stored as closely as its bits allow, and with its length."""
    rng = np.random.default_rng(dim)
    topics = unit(rng.standard_normal((4, dim)))
    anything = unit(rng.standard_normal((100, dim)))
    later = [*documents(rng, -topics, 50), *documents(rng, anything, 50)]
    with (
        lowered(train_documents=200, growth=1e9),
        mvdb.open(tmp_path / "a.mvdb", dim=dim, bits=bits, background=False) as db,
    ):
        db.insert(range(200), documents(rng, topics, 200))
        assert db.stats().centroids > 1
        db.insert(range(200, 300), later)
        stored = np.concatenate(db.vectors(range(200, 300)))
    lengths = np.linalg.norm(stored, axis=1)
    cosines = (stored * np.concatenate(later)).sum(axis=1) / lengths
    assert cosines.mean() >= LEAST_COSINE[bits]
    assert np.quantile(np.abs(lengths - 1), 0.9) < 0.12
