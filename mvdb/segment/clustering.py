"""In which order a segment's documents lie, so that what is read together lies together.

A query reads documents that are alike. They are clustered by the mean of their tokens' centroids,
in two levels, and lie cluster by cluster: fewer pages are touched per query, and memory accesses
are more local (docs/engine.md has the figures).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mvdb import core

CLUSTER_DOCUMENTS = 32
"""Documents of a cluster, on average."""
SAMPLE_PER_CLUSTER = 64
"""Documents that the upper level of clusters is trained on."""
ITERATIONS = 4
_SEED = 1


def by_likeness(
    points: core.Points, dim: int, breathe: Callable[[], None] = lambda: None
) -> core.Numbers:
    """An order of documents given as int8 points (n, padded): their numbers, uint32 (n,).
    Deterministic. breathe: called now and then; may raise to end the work."""
    n_groups = math.isqrt(len(points) // CLUSTER_DOCUMENTS)
    if n_groups < 2:
        return np.arange(len(points), dtype=np.uint32)
    wanted = SAMPLE_PER_CLUSTER * n_groups
    step = max(1, len(points) // wanted)
    sample = np.ascontiguousarray(points[::step])
    rows = core.kmeans(sample, dim, n_groups, ITERATIONS, _SEED)
    groups = core.nearest(rows, dim, points)
    by_group = np.argsort(groups, kind="stable").astype(np.uint32)
    ends = np.cumsum(np.bincount(groups, minlength=n_groups))
    parts = []
    for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        breathe()
        members = by_group[begin:end]
        parts.append(members[_inside(np.ascontiguousarray(points[members]), dim)])
    return np.concatenate(parts)


def _inside(points: core.Points, dim: int) -> core.Numbers:
    """The order inside one group."""
    k = len(points) // CLUSTER_DOCUMENTS
    if k < 2:
        return np.arange(len(points), dtype=np.uint32)
    rows = core.kmeans(points, dim, k, ITERATIONS, _SEED)
    return np.argsort(core.nearest(rows, dim, points), kind="stable").astype(np.uint32)
