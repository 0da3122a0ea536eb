"""The residual codec of ColBERTv2 and PLAID, as a baseline for `bench.fidelity`.

Nearest centroid plus residual; each dimension of a residual is one of 2^bits buckets, cut at the
quantiles i / 2^bits of all residual values of a sample and represented by the quantiles
(i + 1/2) / 2^bits; what is reconstructed is brought to unit length (ColBERTv2, arXiv 2112.01488
§3.3; PLAID, arXiv 2205.09707 §2; the same arithmetic as in their ``ResidualCodec``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SAMPLE = 100_000
_CHUNK = 1 << 16


@dataclass(frozen=True)
class ColbertV2Codec:
    """Tables of a codec; immutable.

    centroids: (K, dim) float32; cutoffs: (2^bits - 1,); weights: (2^bits,)."""

    bits: int
    centroids: Floats
    cutoffs: Floats
    weights: Floats

    @classmethod
    def fit(
        cls, centroids: Floats, vectors: Floats, codes: NDArray[np.integer], bits: int
    ) -> ColbertV2Codec:
        """Buckets for the residuals of unit vectors (n, dim) to the centroids `codes` (n,)."""
        if len(vectors) > _SAMPLE:
            chosen = np.random.default_rng(1).choice(len(vectors), _SAMPLE, replace=False)
            vectors, codes = vectors[chosen], codes[chosen]
        residuals = vectors - centroids[codes]
        edges = np.arange(1, 2**bits) / 2**bits
        middles = (np.arange(2**bits) + 0.5) / 2**bits
        cutoffs, weights = (np.quantile(residuals, q).astype(np.float32) for q in (edges, middles))
        return cls(bits, centroids, cutoffs, weights)

    def buckets(self, vectors: Floats, codes: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Bucket (n, dim) of every residual value."""
        found: NDArray[np.intp] = np.searchsorted(self.cutoffs, vectors - self.centroids[codes])
        return found.astype(np.uint8)

    def decode(self, codes: NDArray[np.integer], buckets: NDArray[np.uint8]) -> Floats:
        """Unit vectors (n, dim)."""
        rows: Floats = self.centroids[codes] + self.weights[buckets]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def reconstruct(self, vectors: Floats, codes: NDArray[np.integer]) -> Floats:
        """What is stored of unit vectors (n, dim)."""
        out = np.empty_like(vectors)
        for at in range(0, len(vectors), _CHUNK):
            part = slice(at, at + _CHUNK)
            out[part] = self.decode(codes[part], self.buckets(vectors[part], codes[part]))
        return out

    def token_bytes(self, code_bytes: int) -> float:
        """Bytes of a token with a centroid code of so many bytes (PLAID's own take four)."""
        return code_bytes + int(self.centroids.shape[1]) * self.bits / 8
