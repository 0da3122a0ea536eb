"""Centroids that keep up with a growing collection.

A collection should have about as many centroids as the square root of its tokens demands
(training.py). When it has outgrown those it has, more are trained on what is stored and put behind
the old ones (`training.extend`). Nothing is encoded anew: codes and residuals of old documents stay
valid and as faithful as they were, which encoding again from stored vectors would not be
(docs/engine.md compares both), and new documents find centroids near them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.segment.layout import FLOAT16
from mvdb.state.manifest import Manifest
from mvdb.state.state import State
from mvdb.write.merge import Reading

GROWTH = 3.0
"""More centroids are due when there are this many times the tokens of the last training."""
AHEAD = 1.7
"""So many times the tokens are provided for: for what comes until the next time."""
SEED = 1
STEP_ROWS = 256


def is_due(current: Manifest) -> bool:
    """Whether the collection has outgrown its centroids."""
    return current.generation != FLOAT16 and (
        current.live_tokens >= GROWTH * max(1, current.trained_tokens)
    )


@dataclass(frozen=True)
class Extension:
    """A codec that extends that of `generation`, made when there were so many tokens."""

    generation: int
    spec: core.CodecSpec
    live_tokens: int


def extended(reading: Reading, executor: Executor, memory: int) -> Extension:
    """The current codec with the centroids that are due, trained on an even sample of what is
    stored that takes at most `memory` bytes."""
    with reading() as (txn, state):
        generation = state.manifest.generation
        live_tokens = state.manifest.live_tokens
        spec = codebooks.load_spec(txn, generation)
        n_tokens = int(AHEAD * live_tokens)
        drawn = _draw(state, training.sample_size(n_tokens, spec.dim, memory))
    points = np.concatenate(
        [*_points(reading, drawn, spec.seed), np.empty((0, spec.rows.shape[1]), np.int8)]
    )
    spec = training.extend(spec, points, n_tokens, SEED + generation, executor)
    return Extension(generation, spec, live_tokens)


def _draw(state: State, wanted: int) -> list[tuple[int, core.Numbers]]:
    """Rows drawn evenly, with about `wanted` tokens in all, by segment."""
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
    """The points of all tokens of these documents. A transaction is open for some of them at a
    time; what another process merges away meanwhile is left out."""
    for number, rows in drawn:
        for first in range(0, len(rows), STEP_ROWS):
            with reading() as (txn, state):
                segment = next((one for one in state.segments if one.id == number), None)
                if segment is None:
                    break
                step = rows[first : first + STEP_ROWS].tolist()
                vectors = np.concatenate([segment.vectors(txn, row) for row in step])
            yield core.make_points(vectors, seed)
