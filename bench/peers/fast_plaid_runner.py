"""fast-plaid (PLAID on libtorch) with its default search parameters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.peers.common import main, split_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FastPlaidEngine:
    """PLAID: centroid interaction to choose candidates, full scores of 4,096 of them."""

    name: ClassVar[str] = "fast-plaid"
    modules: ClassVar[tuple[str, ...]] = ("torch", "fast_plaid.search")
    default_bits: ClassVar[int | None] = 4
    default_threads: ClassVar[int] = 2
    max_threads: ClassVar[int | None] = None
    stores_index: ClassVar[bool] = True

    def version(self) -> str:
        """Version of fast-plaid."""
        return version("fast-plaid")

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """One float32 tensor per document."""
        return split_tensors(flat, lengths)

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Cluster, quantise and write."""
        from fast_plaid.search import FastPlaid

        with FastPlaid(index=str(folder), device="cpu") as index:
            index.create(documents_embeddings=documents, nbits=bits)

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Load the index."""
        import torch
        from fast_plaid.search import FastPlaid

        torch.set_num_threads(threads)
        self._index = FastPlaid(index=str(folder), device="cpu")

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Positions of the best k by the quantised MaxSim."""
        import torch

        [hits] = self._index.search(
            queries_embeddings=torch.from_numpy(query)[None], top_k=k, show_progress=False
        )
        return [position for position, _ in hits]


if __name__ == "__main__":
    main(FastPlaidEngine())
