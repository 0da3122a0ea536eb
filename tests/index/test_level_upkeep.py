"""The level of relevance is kept by maintenance: measured when it is due, and no more often."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mvdb
from tests.index.test_maintenance import at_rest, wait_for
from tests.support.model import unit

DIM = 32
RNG = np.random.default_rng(3)
WORDS = unit(RNG.standard_normal((10, DIM))).astype(np.float32)
DOCUMENTS = [WORDS[RNG.integers(0, 10, 8)] for _ in range(64)]
STRANGERS = [unit(RNG.standard_normal((8, DIM))).astype(np.float32) for _ in range(64)]
"""Without words in common."""


def test_maintenance_measures_from_64_documents_and_again_from_128(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "b.mvdb", dim=DIM) as db:
        db.insert(list(range(63)), STRANGERS[:63])
        assert at_rest(db)
        db.insert(63, STRANGERS[63])
        wait_for(lambda: db.stats().relevance_level is not None)
        wait_for(lambda: at_rest(db))
        first = db.stats().relevance_level
        db.insert(list(range(64, 127)), DOCUMENTS[:63])
        assert at_rest(db)
        db.insert(127, DOCUMENTS[63])
        wait_for(lambda: db.stats().relevance_level != first)
        assert db.stats().maintenance_error is None


def test_documents_without_any_likeness_are_measured_once(tmp_path: Path) -> None:
    """All are orthogonal, so that there is no level: not each commit looks for one again."""
    rows = np.eye(128, dtype=np.float32)[:, None]
    with mvdb.open(tmp_path / "b.mvdb", dim=128) as db:
        db.insert(list(range(64)), rows[:64])
        wait_for(lambda: at_rest(db))
        for i in range(64, 70):
            db.insert(i, rows[i])
            assert at_rest(db)
        assert db.stats().relevance_level is None
        assert db.stats().maintenance_error is None


def test_a_measurement_ends_when_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "b.mvdb"
    with mvdb.open(path, dim=DIM) as db:
        db.insert(list(range(64)), DOCUMENTS)
    with mvdb.open(path, readonly=True) as db:
        assert db.verify().ok
        assert db.stats().documents == 64
