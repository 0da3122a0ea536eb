"""Qdrant Edge: exact MaxSim over its multivector storage, without an index. ``--bits`` 32 or 16."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.peers.common import main

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VECTOR = "tokens"
_BATCH = 100


class QdrantEdge:
    """One shard, one multivector a point, the position of the document as the point's id."""

    name: ClassVar[str] = "Qdrant Edge (exact)"
    modules: ClassVar[tuple[str, ...]] = ("qdrant_edge",)
    default_bits: ClassVar[int | None] = 32
    default_threads: ClassVar[int] = 2
    max_threads: ClassVar[int | None] = None
    stores_index: ClassVar[bool] = True

    def version(self) -> str:
        """Version of qdrant-edge-py."""
        return version("qdrant-edge-py")

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """One float32 array per document."""
        import numpy as np

        return np.split(flat.astype(np.float32), np.cumsum(lengths)[:-1])

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Upsert in batches and flush."""
        from qdrant_edge import EdgeShard, Point, UpdateOperation

        shard = EdgeShard.create(str(folder), _config(bits, None))
        for first in range(0, len(documents), _BATCH):
            batch = enumerate(documents[first : first + _BATCH], first)
            points = [Point(position, {_VECTOR: rows}) for position, rows in batch]
            shard.update(UpdateOperation.upsert_points(points))
        shard.flush()
        shard.close()

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Open the shard."""
        from qdrant_edge import EdgeShard

        self._shard = EdgeShard.load(str(folder), _config(bits, threads))

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Positions of the best k by MaxSim of the stored vectors."""
        from qdrant_edge import Query, QueryRequest, SearchParams

        request = QueryRequest(
            limit=k, query=Query.Nearest(query, using=_VECTOR), params=SearchParams(exact=True)
        )
        return [point.id for point in self._shard.query(request)]


def _config(bits: int | None, threads: int | None) -> Any:
    """Multivectors compared by MaxSim of dot products."""
    from qdrant_edge import (
        Distance,
        EdgeConfig,
        EdgeVectorParams,
        MultiVectorComparator,
        MultiVectorConfig,
        VectorStorageDatatype,
    )

    datatypes = {16: VectorStorageDatatype.Float16, 32: VectorStorageDatatype.Float32}
    vectors = EdgeVectorParams(
        size=128,
        distance=Distance.Dot,
        datatype=datatypes[bits or 32],
        multivector_config=MultiVectorConfig(MultiVectorComparator.MaxSim),
    )
    return EdgeConfig(vectors={_VECTOR: vectors}, max_search_threads=threads)


if __name__ == "__main__":
    main(QdrantEdge())
