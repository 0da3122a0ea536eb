"""Exact MaxSim by brute force in PyTorch, float32 in memory: the reference for latency."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.peers.common import main

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ExactTorch:
    """One product of all document rows with the query, a maximum per document, a sum."""

    name: ClassVar[str] = "exact (torch)"
    modules: ClassVar[tuple[str, ...]] = ("torch",)
    default_bits: ClassVar[int | None] = None
    default_threads: ClassVar[int] = 2
    max_threads: ClassVar[int | None] = None
    stores_index: ClassVar[bool] = False

    def version(self) -> str:
        """Version of torch."""
        return version("torch")

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """Not used: nothing is built."""
        raise NotImplementedError

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Not used: nothing is built."""
        raise NotImplementedError

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Load the vectors of ``folder`` as float32."""
        import numpy as np
        import torch

        torch.set_num_threads(threads)
        lengths = np.load(folder / "doc_lengths.npy").astype(np.int64)
        self._rows = torch.from_numpy(np.load(folder / "doc_flat.npy")).float()
        self._offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Positions of the exact best k."""
        import torch

        with torch.inference_mode():
            similarity = self._rows @ torch.from_numpy(query).T
            maxima = torch.segment_reduce(similarity, "max", offsets=self._offsets, axis=0)
            scores = maxima.sum(dim=1)
            # topk leaves the order of equal scores open; they go by position, as in the truth.
            edge = torch.topk(scores, min(k, len(scores))).values[-1]
            best = (scores >= edge).nonzero().squeeze(1)
            order = torch.sort(scores[best], descending=True, stable=True).indices
            return list(best[order[:k]].tolist())


if __name__ == "__main__":
    main(ExactTorch())
