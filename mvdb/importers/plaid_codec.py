"""Vectors of PLAID, decoded: a centroid, plus for each dimension a weight chosen by a few bits.

Source: Santhanam et al., "PLAID: An Efficient Engine for Late Interaction Retrieval" (CIKM 2022),
and "ColBERTv2" (NAACL 2022), section 3.3, for the residual compression. fast-plaid and ColBERT
write the same codes:

- a token is the number of a centroid, and `dim * bits / 8` bytes of residual;
- the bits of a byte, from the highest, belong to dimensions in order, `bits` to each;
- of the bits of a dimension the first is the lowest of the bucket's number;
- the vector is centroid plus bucket weights, scaled to unit length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError
from mvdb.importers.source import BATCH_BYTES

MAX_DIM = 4096
_TINIEST = 1e-12  # as torch.nn.functional.normalize: a vector of zeros stays one


class PlaidCodec:
    """The codebook of an index: centroids (k, dim) and 2**bits bucket weights."""

    def __init__(
        self, centroids: NDArray[Any], weights: NDArray[Any], bits: int, folder: Path
    ) -> None:
        """Raises InvalidInputError unless the parts fit each other."""
        if centroids.ndim != 2 or not len(centroids) or not 1 <= centroids.shape[1] <= MAX_DIM:
            raise InvalidInputError(f"{folder}: centroids of the shape {centroids.shape}")
        self.dim = int(centroids.shape[1])
        self.bits = bits
        if bits not in (1, 2, 4, 8) or self.dim * bits % 8:
            raise InvalidInputError(f"{folder}: {bits} bits for each of {self.dim} dimensions")
        if weights.shape != (1 << bits,):
            raise InvalidInputError(
                f"{folder}: bucket weights of the shape {weights.shape}, not ({1 << bits},)"
            )
        self.centroids = centroids.astype(np.float32)
        ordered = weights.astype(np.float32)[_buckets(bits)]
        if not (np.isfinite(self.centroids).all() and np.isfinite(ordered).all()):
            raise InvalidInputError(f"{folder}: centroids or bucket weights that are not finite")
        self._weights_of_byte = ordered

    @property
    def bytes_per_token(self) -> int:
        """Of a residual."""
        return self.dim * self.bits // 8

    def decode(self, codes: NDArray[Any], residuals: NDArray[Any]) -> NDArray[np.float32]:
        """Unit rows (n, dim) of n tokens.

        codes: (n,) numbers of centroids, already checked; residuals: (n, bytes_per_token) bytes."""
        rows: NDArray[np.float32] = self.centroids[codes]
        rows += self._weights_of_byte[residuals].reshape(rows.shape)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        rows /= np.maximum(lengths, _TINIEST)[:, None]
        return rows

    def batches(
        self,
        lengths: NDArray[np.int64],
        codes: NDArray[Any],
        residuals: NDArray[Any],
        place: Path,
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Consecutive documents, decoded in pieces of bounded size: the first document's number,
        and the numbers of tokens and vectors of some. `place`: the file of the codes, for messages.

        Raises InvalidInputError for codes without centroid."""
        ends = np.cumsum(lengths)
        for first, last in _pieces(ends, BATCH_BYTES // (4 * self.dim)):
            begin = int(ends[first] - lengths[first])
            piece = np.asarray(codes[begin : int(ends[last - 1])])
            if len(piece) and not 0 <= int(piece.min()) <= int(piece.max()) < len(self.centroids):
                raise InvalidInputError(
                    f"{place}: a token has no centroid; there are {len(self.centroids):,}"
                )
            rows = np.asarray(residuals[begin : int(ends[last - 1])])
            yield first, lengths[first:last], self.decode(piece, rows)


def _buckets(bits: int) -> NDArray[np.int64]:
    """(256, 8 / bits): the buckets of the dimensions that a byte stands for."""
    every = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    lowest_first = every.reshape(256, 8 // bits, bits).astype(np.int64)
    return lowest_first @ (1 << np.arange(bits, dtype=np.int64))


def _pieces(ends: NDArray[np.int64], tokens: int) -> Iterable[tuple[int, int]]:
    """Ranges of documents that have at most `tokens` tokens, or are one document."""
    first = 0
    while first < len(ends):
        begin = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, begin + max(1, tokens), side="right"))
        last = max(last, first + 1)
        yield first, last
        first = last
