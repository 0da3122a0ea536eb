"""xtr-warp-rs (WARP on libtorch) with its own choice of search parameters."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.peers.common import main, split_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class XtrWarp:
    """WARP: imputed scores of probed clusters, no scoring of the rest of a document."""

    name: ClassVar[str] = "xtr-warp-rs"
    modules: ClassVar[tuple[str, ...]] = ("torch", "xtr_warp")
    default_bits: ClassVar[int | None] = 4
    default_threads: ClassVar[int] = 1
    max_threads: ClassVar[int | None] = None
    stores_index: ClassVar[bool] = True

    def version(self) -> str:
        """Version of xtr-warp-rs."""
        return version("xtr-warp-rs")

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """One float32 tensor per document."""
        return split_tensors(flat, lengths)

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Cluster, quantise and write."""
        from xtr_warp import XTRWarp

        index = XTRWarp(index=str(folder))
        index.create(embeddings_source=documents, device="cpu", nbits=bits, show_progress=False)

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Map the index."""
        from xtr_warp import XTRWarp

        self._threads = threads
        self._index = XTRWarp(index=str(folder)).load(device="cpu")

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Positions of the best k by WARP's score."""
        import torch

        [hits] = self._index.search(
            queries_embeddings=torch.from_numpy(query)[None],
            top_k=k,
            num_threads=self._threads,
            show_progress=False,
        )
        return [position for position, _ in hits]


if __name__ == "__main__":
    main(XtrWarp())
