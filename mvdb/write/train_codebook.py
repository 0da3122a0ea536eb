"""First training: centroids from all documents of a database without a codebook.

1. An even sample of the tokens of all stored documents and of the write buffer is drawn.
2. Centroids and tables of scales are trained on the sample (codebook/training.py) and stored as a
   codebook.
3. All documents are encoded with them, into new segments that replace the float16 ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.write import flush
from mvdb.write.changes import Changes
from mvdb.write.write_buffer import Batch

SEED = 1


def is_due(changes: Changes) -> bool:
    """Whether the database has no centroids yet, and enough documents to train them."""
    limits, buffer = changes.limits, changes.buffer
    n_documents, n_tokens = changes.manifest.live_documents, changes.manifest.live_tokens
    if buffer is not None:
        n_documents += len(buffer)
        n_tokens += buffer.n_tokens
    return changes.is_untrained and (
        n_documents >= limits.train_documents or n_tokens >= limits.train_tokens
    )


def train(changes: Changes) -> None:
    """Trains the first codebook on all documents and encodes them with it. REQUIRES: `is_due`; no
    deletion waits to be flushed."""
    old = changes.manifest
    state = changes.open_state()

    def batches() -> Iterator[Batch]:
        yield from flush.stored_batches(state, changes.txn)
        if changes.buffer is not None:
            yield from changes.buffer.batches()

    n_tokens = sum(len(batch.vectors) for batch in batches())
    resources, vectors = changes.resources, (batch.vectors for batch in batches())
    stored, memory = resources.settings, resources.memory.sample
    sample = training.draw(vectors, n_tokens, SEED, stored.dim, memory)
    spec = training.train(sample, stored.bits, SEED, resources.executor)
    del sample  # the encoding that follows needs the memory
    generation = old.generation + 1
    codebooks.store(changes.txn, generation, spec, {})
    changes.manifest = replace(old, generation=generation, trained_tokens=n_tokens)
    infos = flush.write_segments(changes, batches(), n_tokens)
    changes.replace_segments([info.id for info in old.segments], infos)
    residual = sum(info.residual_sum for info in infos) / n_tokens
    changes.manifest = replace(changes.manifest, trained_residual=residual)
