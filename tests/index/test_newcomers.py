"""Documents that come many at a time get centroids before they are encoded."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb import core
from mvdb.codebook import training
from mvdb.limits import Limits
from tests.index.files import DIM, TOPICS, check, fill, put, vectors_of
from tests.support.opening import opened

OTHERS = [name for name in range(1600) if name % TOPICS >= 6]
"""Documents about what the first ones are not about."""


def mean_error(db: mvdb.Database, names: list[int]) -> float:
    found = db.vectors(names)
    errors = [np.linalg.norm(rows - vectors_of(n)) for n, rows in zip(names, found, strict=True)]
    return float(np.mean(errors))


def test_they_are_as_faithful_as_if_the_training_had_known_them(tmp_path: Path) -> None:
    """Beside a database trained on all of them, and one whose centroids know nothing of them."""
    limits = Limits(train_documents=100, extended_at_once=0)
    ignorant = replace(limits, newcomers_per_centroid=math.inf)
    errors = {}
    for name, used, first in (("met", limits, 200), ("unmet", ignorant, 200), ("all", limits, 0)):
        with opened(tmp_path / name, used, dim=DIM, bits=1, background=False) as db:
            if first:
                fill(db, first)
            put(db, OTHERS[:400])
            errors[name] = mean_error(db, OTHERS[:400])
            assert db.verify().ok
    assert errors["met"] < 1.1 * errors["all"], errors
    assert errors["met"] < 0.9 * errors["unmet"], errors


@pytest.mark.parametrize("commits", [1, 40])
def test_few_at_a_time_cost_no_codebook(tmp_path: Path, commits: int) -> None:
    limits = Limits(train_documents=100, extended_at_once=0)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 400)
        before = db.stats().centroids
        fill(db, 120, first=400, commits=commits)
        assert (db.stats().centroids > before) == (commits == 1)
        check(db, dict.fromkeys(range(520), 0))


def test_near_ones_add_no_centroids(tmp_path: Path) -> None:
    """What was there before comes once more, under other names."""
    limits = Limits(train_documents=100, extended_at_once=0)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        matrices = [vectors_of(name) for name in range(400)]
        db.insert(list(range(400)), matrices)
        before = db.stats().centroids
        db.insert(list(range(400, 800)), matrices)
        assert db.stats().centroids == before


def test_dropped_documents_of_the_buffer_do_no_harm(tmp_path: Path) -> None:
    limits = Limits(train_documents=100)
    with opened(tmp_path / "a.mvdb", limits, dim=DIM, background=False) as db:
        fill(db, 200)
        with db.transaction() as txn:
            names = list(range(200, 500))
            matrices = [vectors_of(name) for name in names]
            txn.insert(names, matrices, texts=[f"{name} version 0" for name in names])
            txn.delete(names[:299])
        check(db, dict.fromkeys([*range(200), 499], 0))
        assert db.verify().ok


# ---- groups ----


def drawn(rng: np.random.Generator, count: int) -> core.Floats:
    return core.normalise(rng.standard_normal((count, DIM)).astype(np.float32))[0]


def test_added_centroids_join_the_nearest_groups() -> None:
    """Each centroid is in one group, the numbers of the old ones stay, and an added one's group has
    the nearest mean; all are grouped anew before there are too many for the groups."""
    rng = np.random.default_rng(4)
    with ThreadPoolExecutor(2) as executor:
        flat = drawn(rng, 20_000).astype(np.float16)
        sample = training.draw([flat], len(flat), 1, DIM, 1 << 30)
        spec = training.train(sample, 2, 1, executor)
        grouped_anew = 0
        for step in range(1, 6):
            points = core.make_points(drawn(rng, 6000), spec.seed)
            n_tokens = 20_000 + 12_000 * step
            larger = training.extend(spec, points, n_tokens, step, executor)
            n = len(larger.rows)
            assert n > len(spec.rows)
            assert np.array_equal(larger.rows[: len(spec.rows)], spec.rows)
            assert np.array_equal(np.sort(larger.members), np.arange(n))
            sizes = np.diff(larger.group_starts)
            assert training.GROUPS_PER_ROOT * math.sqrt(n) < 1.3 * len(sizes)
            group_of = np.empty(n, np.int64)
            group_of[larger.members] = np.repeat(np.arange(len(sizes)), sizes)
            rows = larger.rows.astype(np.int64) - 128
            means = larger.group_rows.astype(np.int64) - 128
            dots = rows @ means.T
            best = dots.max(axis=1)
            own = dots[np.arange(n), group_of]
            added = slice(len(spec.rows), n)
            assert np.array_equal(own[added], best[added])
            grouped_anew += not np.array_equal(larger.group_rows, spec.group_rows)
            spec = larger
    assert 0 < grouped_anew < 5
