"""Extension of the codebook: more centroids for a collection that has grown.

The number of centroids follows the square root of the tokens (codebook/training.py). New
centroids are trained on points far from the present ones and appended (`training.extend`). Codes
and residuals of stored documents stay valid. Encoding these again from reconstructed vectors loses
more than it gains (docs/benchmarks.md compares both): documents keep the centroids they have.

- *For newcomers*: documents of a write buffer that is large beside the codebook get centroids
  before they are encoded, trained on their own vectors (`extend_for_newcomers`).
- *For growth*: when small commits have let the collection outgrow its centroids, documents are
  drawn evenly, and their stored vectors are read in steps (`extended`).
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
from mvdb.write.write_buffer import WriteBuffer

AHEAD = 2
"""Centroids are trained for AHEAD times the live tokens: later documents find other centroids than
if the codebook had been trained on all at once, and more of them make up for it."""
SEED = 1
PROBED_VECTORS = 4096
"""Vectors of newcomers by which their distance from the centroids is measured."""
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
        n_tokens = AHEAD * live_tokens
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


def extend_for_newcomers(changes: Changes, buffer: WriteBuffer) -> None:
    """Adds centroids for the documents of the write buffer, which is then to be encoded, if their
    tokens are many beside the centroids, and far from them."""
    codebook = changes.codebook()
    if codebook is None:
        return
    least = changes.limits.newcomers_per_centroid * codebook.codec.n_centroids
    if buffer.n_tokens < least:
        return
    nearest = changes.limits.newcomers_drift * changes.manifest.trained_residual
    if _mean_residual(codebook.codec, buffer) <= nearest:
        return
    resources = changes.resources
    spec = codebooks.load_spec(changes.txn, codebook.generation)
    seed, memory = SEED + codebook.generation, resources.memory.sample
    sample = _drawn_from(buffer, spec, seed, memory)
    live_tokens = changes.manifest.live_tokens + buffer.n_tokens
    larger = training.extend(spec, sample.points, AHEAD * live_tokens, seed, resources.executor)
    if len(larger.rows) > len(spec.rows):
        extend(changes, Extension(codebook.generation, larger, live_tokens))


def _mean_residual(codec: core.Codec, buffer: WriteBuffer) -> float:
    """Mean distance of the buffer's vectors from their centroids, by PROBED_VECTORS of them."""
    memory = PROBED_VECTORS * core.padded_dim(codec.dim)
    probed = _drawn_from(buffer, codec, SEED, memory).vectors
    residual_sum = codec.encode(probed, np.ones(len(probed), np.uint32))[2]
    return residual_sum / max(1, len(probed))


def _drawn_from(
    buffer: WriteBuffer, codec: core.Codec | core.CodecSpec, seed: int, memory: int
) -> training.Sample:
    vectors = (batch.vectors for batch in buffer.batches())
    return training.draw(
        vectors, buffer.n_tokens, seed, codec.dim, memory, rotation_seed=codec.seed
    )


def extend_at_once(changes: Changes) -> None:
    """Adds the centroids that are due after a flush, if the collection is small. Later documents
    then need not wait for maintenance."""
    current, limits = changes.manifest, changes.limits
    if is_due(current, limits) and current.live_tokens <= limits.extended_at_once:
        here = nullcontext((changes.txn, changes.open_state()))
        extend(changes, extended(lambda: here, changes.resources))
