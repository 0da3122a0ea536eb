"""Order of the documents in a segment with posting lists: similar documents side by side.

A query reads similar documents: stored side by side they share pages (docs/engine.md has the
figures). A document is represented by the mean of its tokens' centroids.

1. k-means on an even sample makes sqrt(n / c) groups of the n documents, c documents a cluster.
2. Each document joins its nearest group.
3. k-means inside each group of g documents makes g / c clusters.
4. The order is group by group, cluster by cluster, and by row inside a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mvdb import core

SAMPLE_PER_GROUP = 64
"""Documents on which the groups are trained, for each group."""
ITERATIONS = 4
_SEED = 1


def cluster_order(
    points: core.Points,
    dim: int,
    cluster_documents: int,
    yield_gil: Callable[[], None] = lambda: None,
) -> core.Numbers:
    """The rows in the order of their clusters, uint32 (n,), for documents given as int8 points
    (n, padded). Deterministic.

    yield_gil: called before each group; may raise to end the work."""
    n_groups = math.isqrt(len(points) // cluster_documents)
    if n_groups < 2:
        return np.arange(len(points), dtype=np.uint32)
    step = max(1, len(points) // (SAMPLE_PER_GROUP * n_groups))
    centroids = core.kmeans(np.ascontiguousarray(points[::step]), dim, n_groups, ITERATIONS, _SEED)
    groups = core.nearest(centroids, dim, points)
    by_group = np.argsort(groups, kind="stable").astype(np.uint32)
    ends = np.cumsum(np.bincount(groups, minlength=n_groups))
    parts = []
    for members in np.split(by_group, ends[:-1]):
        yield_gil()
        inside = np.ascontiguousarray(points[members])
        parts.append(members[_order_in_group(inside, dim, len(members) // cluster_documents)])
    return np.concatenate(parts)


def _order_in_group(points: core.Points, dim: int, n_clusters: int) -> core.Numbers:
    if n_clusters < 2:
        return np.arange(len(points), dtype=np.uint32)
    centroids = core.kmeans(points, dim, n_clusters, ITERATIONS, _SEED)
    return np.argsort(core.nearest(centroids, dim, points), kind="stable").astype(np.uint32)
