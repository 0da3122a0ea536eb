"""Shares of the parts of the engine in the memory of an open database.

The budget covers tables and scratch memory of the process. It covers neither pages of the file,
which the system caches, nor centroids (128 bytes each at 128 dimensions), which every search needs.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = 768 << 20
LEAST = 32 << 20


@dataclass(frozen=True)
class Budget:
    """Shares in bytes of a `total` of at least LEAST bytes."""

    total: int = DEFAULT

    @property
    def queries(self) -> int:
        """Scratch memory kept between queries."""
        return self.total // 4

    @property
    def write_buffer(self) -> int:
        """Vectors, texts and metadata of a transaction that are not in a segment yet."""
        return self.total // 12

    @property
    def words(self) -> int:
        """Words of a new segment that are collected before they are sorted and written."""
        return self.total // 12

    @property
    def weights(self) -> int:
        """Learned weights of a new segment, likewise."""
        return self.total // 12

    @property
    def sample(self) -> int:
        """Points that centroids are trained on; drawing and sorting them takes as much again."""
        return self.total // 4

    @property
    def postings(self) -> int:
        """Postings collected in one pass while posting lists are made."""
        return self.total // 6
