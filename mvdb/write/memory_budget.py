"""How much memory the process's own tables may take.

What a search needs of the file stays in the system's page cache and is not counted, nor are the
centroids (128 bytes each at 128 dimensions), without which there is no search.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = 768 << 20
LEAST = 32 << 20


@dataclass(frozen=True)
class Budget:
    """A budget of so many bytes, at least LEAST, and what the parts of the engine get of it."""

    total: int = DEFAULT

    @property
    def queries(self) -> int:
        """Scratch memory kept between queries."""
        return self.total // 4

    @property
    def pending(self) -> int:
        """Vectors and texts of a transaction that wait to be encoded."""
        return self.total // 12

    @property
    def sample(self) -> int:
        """Points that centroids are trained on; drawing and sorting them takes as much again."""
        return self.total // 4

    @property
    def postings(self) -> int:
        """Postings collected at a time while lists are made."""
        return self.total // 6
