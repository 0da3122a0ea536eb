"""What training on the first documents means for those that come later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvdb.limits import Limits
from tests.support.model import Floats, unit
from tests.support.opening import opened

LEAST_COSINE = {1: 0.75, 2: 0.92, 4: 0.99, 8: 0.999}


def cosine(vectors: Floats, stored: Floats) -> float:
    """The mean over a document's tokens."""
    return float(((vectors * stored).sum(axis=1) / np.linalg.norm(stored, axis=1)).mean())


def documents(
    rng: np.random.Generator, around: Floats, count: int, noise: float = 0.3
) -> list[Floats]:
    """Documents of ten tokens near some directions."""
    dim = around.shape[1]
    chosen = around[rng.integers(0, len(around), (count, 10))]
    added = rng.standard_normal((count, 10, dim)) * (noise / np.sqrt(dim))
    return [unit(rows) for rows in chosen + added]


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
    limits = Limits(train_documents=200, growth=1e9)
    with opened(tmp_path / "a.mvdb", limits, dim=dim, bits=bits, background=False) as db:
        db.insert(range(200), documents(rng, topics, 200))
        assert db.stats().centroids > 1
        db.insert(range(200, 300), later)
        stored = db.vectors(range(200, 300))
    cosines = np.array([cosine(a, b) for a, b in zip(later, stored, strict=True)])
    assert cosines.mean() >= LEAST_COSINE[bits]
    lengths = np.linalg.norm(np.concatenate(stored), axis=1)
    assert np.quantile(np.abs(lengths - 1), 0.9) < 0.12


@pytest.mark.parametrize("dim", [3, 48, 128])
def test_documents_closer_to_centroids_than_all_before(tmp_path: Path, dim: int) -> None:
    """Their residuals are shorter than any of the sample, but they have some."""
    rng = np.random.default_rng(dim)
    topics = unit(rng.standard_normal((4, dim)))
    later = documents(rng, topics, 50, noise=0.03)
    limits = Limits(train_documents=8, growth=1e9)
    with opened(tmp_path / "a.mvdb", limits, dim=dim, bits=8, background=False) as db:
        db.insert(range(8), documents(rng, topics, 8))
        assert 0 < db.stats().centroids < 10
        db.insert(range(8, 58), later)
        stored = db.vectors(range(8, 58))
    cosines = np.array([cosine(a, b) for a, b in zip(later, stored, strict=True)])
    assert cosines.min() >= 0.9999
