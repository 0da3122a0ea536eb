"""Training of a codebook: two levels of centroids and the tables of scales.

1. An even sample of the token vectors is drawn and rotated into int8 points (`draw`).
2. k-means on a part of the sample makes about sqrt(K) groups; each point joins its nearest group.
3. k-means inside each group makes the group's share of the K centroids. The cost is that of sqrt(K)
   comparisons a point, not K.
4. The centroids themselves are clustered into 4 sqrt(K) groups: assignment and probing compare all
   groups, then the centroids of some (`_grouped`). Centroids that are added later join them.
5. The tables of scales are fitted to the residuals of the sample (`fit_scales`).

K follows the square root of the number of tokens, as in PLAID (arXiv 2205.09707), with a larger
factor: more centroids make the coarse score sharper and the residuals smaller (docs/engine.md shows
the curve).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.threads.workers import BUILD_THREADS, ordered_map

CENTROIDS_PER_ROOT = 18
"""K / sqrt(tokens)."""
MIN_TOKENS_PER_CENTROID = 16
MAX_CENTROIDS = 1 << 20
SAMPLE_PER_CENTROID = 40
EXTENDING_PER_CENTROID = 32
"""Points of the sample per centroid of an extension, which starts from half of them."""
GROUPS_PER_ROOT = 4
"""Groups of a codec / sqrt(K)."""
FEW_GROUPS = 1.2
"""Ratio of GROUPS_PER_ROOT * sqrt(K) to the groups from which an extension groups anew."""
GROUP_SAMPLE = 256
"""Points per group when the groups are trained."""
GROUP_ITERATIONS = 8
CENTROID_ITERATIONS = 6
SCALE_SAMPLE = 20_000
"""Vectors of the sample to which the scales are fitted."""
OUTLIERS = 16
"""Entries at each end of a table of scales for vectors unlike any of the sample."""
LEAST_OUTLIER = 64
"""Ratio of the smallest b of the sample to the smallest positive b of the table."""
RANDOM_VECTORS = 1024
SLICE_POINTS = 65_536
"""Points that one task assigns to centroids."""
TASKS = 2 * BUILD_THREADS
"""Tasks in flight: enough for all threads, while other databases' tasks get their turn."""
ROTATION_SEED = 0x6D766462
"""Seed of the rotation of new codecs. Each codec stores its own seed and rotates with that."""


def centroid_count(n_tokens: int) -> int:
    """K for a collection of `n_tokens`."""
    wanted = CENTROIDS_PER_ROOT * math.sqrt(n_tokens)
    limit = max(1.0, n_tokens / MIN_TOKENS_PER_CENTROID)
    return int(min(wanted, limit, MAX_CENTROIDS)) or 1


def sample_size(n_tokens: int, dim: int, memory: int) -> int:
    """Tokens of the sample for a collection of `n_tokens`, whose points take at most `memory`
    bytes."""
    return min(
        n_tokens, SAMPLE_PER_CENTROID * centroid_count(n_tokens), memory // core.padded_dim(dim)
    )


@dataclass(frozen=True)
class Sample:
    """An even sample of a collection of `n_tokens`: rotated int8 points (n, padded), n >= 1, and
    the unit vectors (m, dim) of a small part of them."""

    n_tokens: int
    points: core.Points
    vectors: core.Floats
    rotation_seed: int


def draw(
    batches: Iterable[core.Halves],
    n_tokens: int,
    seed: int,
    dim: int,
    memory: int,
    *,
    rotation_seed: int = ROTATION_SEED,
) -> Sample:
    """Draws a sample of `n_tokens` vectors that come in batches. One batch is in memory at a time,
    and the points."""
    rng = np.random.default_rng(seed)
    wanted = sample_size(n_tokens, dim, memory)
    chosen = _drawn(rng, n_tokens, wanted)
    kept = _drawn(rng, wanted, min(wanted, SCALE_SAMPLE))
    points, vectors = [], []
    start = 0
    for batch in batches:
        first, last = np.searchsorted(chosen, [start, start + len(batch)])
        rows, _ = core.normalise(batch[chosen[first:last] - start])
        points.append(core.make_points(rows, rotation_seed))
        vectors.append(rows[kept[(kept >= first) & (kept < last)] - first])
        start += len(batch)
    return Sample(n_tokens, np.concatenate(points), np.concatenate(vectors), rotation_seed)


def train(sample: Sample, bits: int, seed: int, executor: Executor) -> core.CodecSpec:
    """A codec for the collection of the sample. Deterministic for the same sample and seed,
    whatever the number of threads."""
    dim = sample.vectors.shape[1]
    k = min(centroid_count(sample.n_tokens), len(sample.points))
    rows = _two_levels(sample.points, dim, k, seed, executor)
    means, groups = _grouped(rows, dim, seed)
    starts, order = _members(groups, len(means))
    spec = core.CodecSpec(
        dim=dim,
        bits=bits,
        seed=sample.rotation_seed,
        rows=rows[order],
        group_rows=means,
        group_starts=starts,
        members=np.arange(len(rows), dtype=np.uint32),
        a_scales=np.linspace(0, 2, core.SCALES, dtype=np.float32),
        b_scales=np.linspace(0, 1, core.SCALES, dtype=np.float32),
    )
    return fit_scales(spec, sample.vectors)


def extend(
    spec: core.CodecSpec, sample: core.Points, n_tokens: int, seed: int, executor: Executor
) -> core.CodecSpec:
    """The codec with the centroids that a collection of `n_tokens` should have, the new ones where
    an even sample of points is farthest from the present ones.

    Present centroids keep their numbers and the scales stay, so codes and residuals of the present
    codec are valid in the new one. Points are drawn with the square of their distance to their
    centroid, as in k-means++, and clustered; then the points are clustered that are nearer to these
    clusters than to present centroids: the points that the new centroids will stand for.
    Deterministic."""
    missing = centroid_count(n_tokens) - len(spec.rows)
    wanted = min(missing, len(sample) // MIN_TOKENS_PER_CENTROID)
    if wanted < 1:
        return spec
    rng = np.random.default_rng(seed)
    if len(sample) > EXTENDING_PER_CENTROID * wanted:
        sample = sample[_drawn(rng, len(sample), EXTENDING_PER_CENTROID * wanted)]
    present = _squared_distances(spec, sample, executor)
    n = min(len(sample) // 2, int(np.count_nonzero(present)))
    if n < wanted:
        return spec
    far = _drawn(rng, len(sample), n, present / present.sum())
    draft = _appended(spec, _two_levels(sample[far], spec.dim, wanted, seed, executor), seed)
    won = np.nonzero(_squared_distances(draft, sample, executor) < present)[0]
    wanted = min(wanted, len(won))
    if wanted < 1:
        return spec
    return _appended(spec, _two_levels(sample[won], spec.dim, wanted, seed, executor), seed)


def _drawn(
    rng: np.random.Generator, n: int, wanted: int, shares: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """`wanted` of n numbers, ascending; with their shares of the probability, or evenly."""
    return np.sort(rng.choice(n, wanted, replace=False, shuffle=False, p=shares))


def _squared_distances(
    spec: core.CodecSpec, points: core.Points, executor: Executor
) -> NDArray[np.float64]:
    codec = core.Codec(spec)
    slices = [points[at : at + SLICE_POINTS] for at in range(0, len(points), SLICE_POINTS)]
    distances = ordered_map(executor, codec.squared_distances, slices, TASKS)
    return np.concatenate(list(distances)).astype(np.float64)


# ---- centroids ----


def _two_levels(points: core.Points, dim: int, k: int, seed: int, executor: Executor) -> core.Bytes:
    """k centroids."""
    group_rows = _train_groups(points, dim, max(1, math.isqrt(k)), seed)
    members = core.nearest(group_rows, dim, points)
    counts = np.bincount(members, minlength=len(group_rows))
    shares = _shares(counts, k)
    inside = np.split(np.argsort(members, kind="stable"), np.cumsum(counts)[:-1])

    def train_group(group: int) -> core.Bytes:
        own = points[inside[group]]
        return core.kmeans(own, dim, shares[group], CENTROID_ITERATIONS, seed + group + 1)

    filled = [group for group, share in enumerate(shares) if share > 0]
    return np.concatenate(list(ordered_map(executor, train_group, filled, TASKS)))


def _train_groups(points: core.Points, dim: int, n_groups: int, seed: int) -> core.Bytes:
    wanted = GROUP_SAMPLE * n_groups
    if len(points) > wanted:
        chosen = np.random.default_rng(seed).choice(len(points), wanted, replace=False)
        points = points[np.sort(chosen)]
    return core.kmeans(points, dim, n_groups, GROUP_ITERATIONS, seed)


def _shares(counts: NDArray[np.int64], k: int) -> list[int]:
    """k centroids shared out in proportion to the groups' points: at least one to each group that
    has points, never more than it has points."""
    exact = counts * (k / counts.sum())
    shares = np.minimum(np.maximum(np.floor(exact), counts > 0), counts).astype(np.int64)
    remainders = np.argsort(-(exact - shares), kind="stable")
    for group in remainders[: max(0, k - int(shares.sum()))]:
        if shares[group] < counts[group]:
            shares[group] += 1
    return [int(share) for share in shares]


# ---- groups ----


def _grouped(rows: core.Bytes, dim: int, seed: int) -> tuple[core.Bytes, core.Numbers]:
    """Means of groups of neighbours among the centroids, and the group of each centroid. No group
    is empty."""
    points = _points_of(rows)
    n_groups = min(len(rows), _group_count(len(rows)))
    means = core.kmeans(points, dim, n_groups, GROUP_ITERATIONS, seed)
    nearest = core.nearest(means, dim, points)
    filled, groups = np.unique(nearest, return_inverse=True)
    return means[filled], groups.astype(np.uint32)


def _appended(spec: core.CodecSpec, more: core.Bytes, seed: int) -> core.CodecSpec:
    """The codec with more centroids behind its own. They join the groups whose means are nearest;
    all centroids are grouped anew when they have become too many for these groups."""
    rows = np.concatenate([spec.rows, more])
    means, groups = spec.group_rows, np.empty(len(rows), np.uint32)
    sizes = np.diff(spec.group_starts)
    groups[spec.members] = np.repeat(np.arange(len(means), dtype=np.uint32), sizes)
    joined = core.nearest(means, spec.dim, _points_of(more))
    order = np.argsort(joined, kind="stable")  # the numbers of a group follow each other
    rows[len(spec.rows) :], groups[len(spec.rows) :] = more[order], joined[order]
    if _group_count(len(rows)) > FEW_GROUPS * len(means):
        means, groups = _grouped(rows, spec.dim, seed)
    starts, members = _members(groups, len(means))
    return replace(spec, rows=rows, group_rows=means, group_starts=starts, members=members)


def _members(groups: core.Numbers, n_groups: int) -> tuple[core.Numbers, core.Numbers]:
    """The first member of each group, and the members: `group_starts` and `members` of a codec."""
    counts = np.bincount(groups, minlength=n_groups)
    starts = np.cumsum([0, *counts]).astype(np.uint32)
    return starts, np.argsort(groups, kind="stable").astype(np.uint32)


def _group_count(n_centroids: int) -> int:
    return int(GROUPS_PER_ROOT * math.sqrt(n_centroids))


def _points_of(rows: core.Bytes) -> core.Points:
    points: core.Points = np.maximum((rows ^ np.uint8(128)).view(np.int8), np.int8(-127))
    return points


# ---- scales ----


def fit_scales(spec: core.CodecSpec, vectors: core.Floats) -> core.CodecSpec:
    """The codec with tables of scales fitted to a sample.

    `a` is divided evenly, `b` in equal ratios after an exact 0, between the quantiles that leave
    out a thousandth of the sample. OUTLIERS entries at each end reach from there to the scales of
    random unit vectors, and to residuals of almost no length: later documents may be unlike the
    sample."""
    codec = core.Codec(spec)
    a, b = codec.fit_scales(vectors)
    random_a, random_b = codec.fit_scales(_random_units(spec.dim))
    a_low, a_high = np.quantile(a, [0.0005, 0.9995])
    positive = b[b > 0]
    b_low, b_high = np.quantile(positive, [0.002, 0.9995]) if len(positive) else (1e-3, 1e-3)
    b_low = max(float(b_low), 1e-6)
    b_high = max(float(b_high), b_low)
    a_scales = [
        np.linspace(min(a_low, random_a.min()), a_low, OUTLIERS, endpoint=False),
        np.linspace(a_low, a_high, core.SCALES - 2 * OUTLIERS),
        np.linspace(max(a_high, random_a.max()), a_high, OUTLIERS, endpoint=False)[::-1],
    ]
    b_scales = [
        np.zeros(1),
        np.geomspace(b_low / LEAST_OUTLIER, b_low, OUTLIERS, endpoint=False),
        np.geomspace(b_low, b_high, core.SCALES - 1 - 2 * OUTLIERS),
        np.geomspace(max(b_high, random_b.max()), b_high, OUTLIERS, endpoint=False)[::-1],
    ]
    return replace(
        spec,
        a_scales=np.sort(np.concatenate(a_scales).astype(np.float32)),
        b_scales=np.sort(np.concatenate(b_scales).astype(np.float32)),
    )


def _random_units(dim: int) -> core.Floats:
    drawn = np.random.default_rng(ROTATION_SEED).standard_normal((RANDOM_VECTORS, dim))
    return core.normalise(drawn.astype(np.float32))[0]
