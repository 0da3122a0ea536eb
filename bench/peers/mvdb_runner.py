"""mvdb through its public API, with default search settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.peers.common import main

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FILE = "index.mvdb"


class Mvdb:
    """One file, ids that are the positions of the documents, one thread a query."""

    name: ClassVar[str] = "mvdb"
    modules: ClassVar[tuple[str, ...]] = ("mvdb",)
    default_bits: ClassVar[int | None] = 2
    default_threads: ClassVar[int] = 1
    max_threads: ClassVar[int | None] = 1
    stores_index: ClassVar[bool] = True

    def version(self) -> str:
        """Version of mvdb."""
        import mvdb

        return mvdb.__version__

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """The ids, and rows with lengths."""
        return list(range(len(lengths))), (flat, lengths)

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Insert all documents in one transaction, merge what it left, and close."""
        import mvdb

        ids, (flat, lengths) = documents
        with mvdb.open(folder / _FILE, dim=flat.shape[1], bits=bits or 2) as db:
            db.insert(ids, (flat, lengths))
            db.optimize()

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Open the file as any application would."""
        import mvdb

        self._db = mvdb.open(folder / _FILE)

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Ids of the best k."""
        return [int(hit.id) for hit in self._db.search(query, k=k)]


if __name__ == "__main__":
    main(Mvdb())
