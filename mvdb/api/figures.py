"""The figures that `Database.stats` gives."""

from __future__ import annotations

from mvdb.api.engine import Engine
from mvdb.codebook import codebook as codebooks
from mvdb.state import encoder_identity, manifest, statistics
from mvdb.types import Stats


def figures(engine: Engine) -> Stats:
    """The figures of the newest state; see `Database.stats`."""
    engine.check_open()
    with engine.environment.read() as txn:
        current = manifest.load(txn)
        generation = current.generation
        centroids = codebooks.centroid_count(txn, generation) if generation else 0
        encoder = encoder_identity.load(txn)
        parts = statistics.by_part(txn)
    stored = sum(info.n_tokens for info in current.segments)
    return Stats(
        documents=current.live_documents,
        tokens=current.live_tokens,
        dim=engine.settings.dim,
        bits=engine.settings.bits,
        segments=len(current.segments),
        centroids=centroids,
        trained_tokens=current.trained_tokens,
        deleted_share=1 - current.live_tokens / stored if stored else 0.0,
        drift=statistics.drift(current),
        bytes=parts,
        file_bytes=engine.environment.size(),
        encoder=None if encoder is None else encoder.name,
        maintenance_error=engine.maintenance.error,
    )
