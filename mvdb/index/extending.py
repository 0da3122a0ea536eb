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

import numpy as np

from mvdb import core
from mvdb.index import generations, training
from mvdb.index.manifest import FLOAT16, Manifest
from mvdb.index.state import State
from mvdb.storage.environment import ReadTransaction

GROWTH = 3.0
"""More centroids are due when there are this many times the tokens of the last training."""
AHEAD = 1.7
"""They are made as many as this many times the tokens demand: for what comes until the next time."""
SEED = 1
BATCH_TOKENS = 65_536


def is_due(current: Manifest) -> bool:
    """Whether the collection has outgrown its centroids."""
    return current.generation != FLOAT16 and (
        current.live_tokens >= GROWTH * max(1, current.trained_tokens)
    )


def extended(state: State, txn: ReadTransaction, executor: Executor) -> core.CodecSpec:
    """The current codec with the centroids that are due, trained on an even sample of what is
    stored."""
    generation = state.manifest.generation
    spec = generations.load_spec(txn, generation)
    n_tokens = int(AHEAD * state.manifest.live_tokens)
    points = np.concatenate(list(_sample(state, txn, training.sample_size(n_tokens))))
    return training.extend(spec, points, n_tokens, SEED + generation, executor)


def _sample(state: State, txn: ReadTransaction, wanted: int) -> Iterator[core.Points]:
    """Points of about `wanted` stored tokens, of whole documents drawn evenly."""
    rng = np.random.default_rng(SEED)
    share = min(1.0, wanted / max(1, state.manifest.live_tokens))
    rows: list[core.Floats] = []
    size = 0
    for segment, live in zip(state.segments, state.live, strict=True):
        chosen = rng.random(len(segment)) < share
        for row in np.nonzero(chosen if live is None else chosen & live)[0].tolist():
            rows.append(segment.vectors(txn, row))
            size += len(rows[-1])
            if size >= BATCH_TOKENS:
                yield core.make_points(np.concatenate(rows), training.ROTATION_SEED)
                rows, size = [], 0
    if rows:
        yield core.make_points(np.concatenate(rows), training.ROTATION_SEED)
