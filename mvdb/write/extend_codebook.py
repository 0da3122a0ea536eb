"""Extension of the codebook: more centroids for a collection that has grown.

The number of centroids follows the square root of the tokens (codebook/training.py).

1. Documents are drawn evenly, and the points of their tokens are read in steps.
2. Centroids are trained on the points far from the present ones and appended to them
   (`training.extend`). Codes and residuals of stored documents stay valid. Encoding them again from
   reconstructed vectors loses more than it gains (docs/benchmarks.md compares both).
3. The extended codebook replaces the present one. New documents find nearer centroids.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np

from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.limits import Limits
from mvdb.segment.layout import FLOAT16
from mvdb.state.manifest import Manifest
from mvdb.state.state import State
from mvdb.write.changes import Changes, Reading, Resources

AHEAD = 1.7
"""Centroids are trained for AHEAD times the live tokens, to leave room to grow."""
SEED = 1
STEP_ROWS = 256
"""Documents whose points are read in one transaction."""


@dataclass(frozen=True)
class Extension:
    """An extension of the codebook with the number `generation`, made for `live_tokens`."""

    generation: int
    spec: core.CodecSpec
    live_tokens: int


def is_due(current: Manifest, limits: Limits) -> bool:
    """Whether the collection has outgrown its centroids."""
    return current.generation != FLOAT16 and (
        current.live_tokens >= limits.growth * max(1, current.trained_tokens)
    )


def extended(reading: Reading, resources: Resources) -> Extension:
    """The present codebook with the centroids that are due."""
    with reading() as (txn, state):
        generation, live_tokens = state.manifest.generation, state.manifest.live_tokens
        spec = codebooks.load_spec(txn, generation)
        n_tokens = int(AHEAD * live_tokens)
        drawn = _draw(state, training.sample_size(n_tokens, spec.dim, resources.memory.sample))
    none = np.empty((0, spec.rows.shape[1]), np.int8)
    points = np.concatenate([none, *_points(reading, drawn, spec.seed)])
    spec = training.extend(spec, points, n_tokens, SEED + generation, resources.executor)
    return Extension(generation, spec, live_tokens)


def _draw(state: State, wanted: int) -> list[tuple[int, core.Numbers]]:
    """Segments with rows drawn evenly, of about `wanted` tokens in all."""
    rng = np.random.default_rng(SEED)
    share = min(1.0, wanted / max(1, state.manifest.live_tokens))
    drawn = []
    for segment, live in zip(state.segments, state.live, strict=True):
        chosen = rng.random(len(segment)) < share
        rows = np.nonzero(chosen if live is None else chosen & live)[0].astype(np.uint32)
        drawn.append((segment.id, rows))
    return drawn


def _points(
    reading: Reading, drawn: list[tuple[int, core.Numbers]], seed: int
) -> Iterator[core.Points]:
    """The points of all tokens of the drawn documents, without those of segments that another
    process has merged meanwhile. No transaction is open between the steps."""
    for number, rows in drawn:
        for first in range(0, len(rows), STEP_ROWS):
            with reading() as (txn, state):
                segment = next((one for one in state.segments if one.id == number), None)
                if segment is None:
                    break
                step = rows[first : first + STEP_ROWS].tolist()
                vectors = np.concatenate([segment.vectors(txn, row) for row in step])
            yield core.make_points(vectors, seed)


def extend(changes: Changes, extension: Extension) -> None:
    """Replaces the codebook by its extension; does nothing when another process has replaced it."""
    codebook = changes.codebook()
    if codebook is None or codebook.generation != extension.generation:
        return
    generation = codebook.generation + 1
    codebooks.store(changes.txn, generation, extension.spec, codebook.sizes)
    codebooks.delete(changes.txn, codebook.generation)
    changes.manifest = replace(
        changes.manifest, generation=generation, trained_tokens=extension.live_tokens
    )
    changes.state = None


def extend_at_once(changes: Changes, n_tokens: int) -> None:
    """Adds the centroids that are due after a flush, if the collection of `n_tokens` is small or
    the transaction alone has doubled it. Later documents then need not wait for maintenance."""
    if not is_due(changes.manifest, changes.limits):
        return
    before = changes.base.manifest.live_tokens
    if n_tokens >= 2 * before or n_tokens <= changes.limits.extended_at_once:
        here = nullcontext((changes.txn, changes.open_state()))
        extend(changes, extended(lambda: here, changes.resources))
