"""PyLate: `MvdbIndex`, an index for `pylate.retrieve.ColBERT` in the place of its PLAID.

Needs PyLate, extra `pylate`. Written after `pylate/indexes/base.py` and `plaid.py` of PyLate 1.6.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvdb.integrations.requirement import PYLATE

PYLATE.check()

import numpy as np  # noqa: E402
from pylate.indexes.base import Base  # noqa: E402
from pylate.rank import RerankResult  # noqa: E402

import mvdb  # noqa: E402
from mvdb.errors import InvalidInputError, shown  # noqa: E402
from mvdb.types import Hit, Id  # noqa: E402

Subset = Sequence[Any]
"""Ids for all queries, or a sequence of them for each."""


class MvdbIndex(Base):
    """An index of PyLate that is one mvdb file. A context manager.

    The arguments have the names and the meaning that they have in PyLate's PLAID. Documents keep
    their ids when others are added or removed, and every call is one transaction.

    Vectors are scaled to unit length; those of PyLate's models have it. Scores are MaxSim with the
    stored vectors.

    Args:
        index_folder: folder of the file; made if it does not exist.
        index_name: the file is `index_folder/index_name.mvdb`.
        override: delete the file of that name, if there is one.
        nbits: bits per dimension of a residual: 1, 2, 4 or 8; 16 keeps float16 vectors. An existing
            file has to have as many.
        exact: score all documents by their stored vectors, in every search.
        nprobe, candidates: of each search, as for `mvdb.Database.search`.
        threads: of each search with several queries; None: one per processor.

    Attributes:
        path: the file.
        database: the open `mvdb.Database`; None until the first documents tell the dimension.

    Raises:
        ImportError: PyLate is not installed, or of an unsupported version; at the import.
        The errors of `mvdb.open`.
    """

    is_end_to_end_index = True

    def __init__(
        self,
        index_folder: str | os.PathLike[str] = "indexes",
        index_name: str = "colbert",
        override: bool = False,
        nbits: int = 4,
        *,
        exact: bool = False,
        nprobe: int | None = None,
        candidates: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.path = Path(index_folder) / f"{index_name}.mvdb"
        self.nbits = nbits
        self._options: dict[str, Any] = {
            "exact": exact,
            "nprobe": nprobe,
            "candidates": candidates,
        }
        self._threads = threads
        self.database: mvdb.Database | None = None
        if override:
            self.path.unlink(missing_ok=True)
            Path(f"{self.path}-lock").unlink(missing_ok=True)
        if self.path.exists():
            self.database = mvdb.open(self.path, bits=nbits)

    def __enter__(self) -> MvdbIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. A second call has no effect."""
        if self.database is not None:
            self.database.close()

    def add_documents(
        self, documents_ids: Id | Sequence[Id], documents_embeddings: Any, **kwargs: Any
    ) -> MvdbIndex:
        """Adds documents, in one transaction. Those whose id is there already are replaced.

        Args:
            documents_ids: one id or a sequence; str or int.
            documents_embeddings: a matrix (n, dim) for each: a list of arrays or tensors, or a 3-D
                one, as `pylate.models.ColBERT.encode` gives them.
            kwargs: ignored; PyLate's indexes take a `batch_size` here.

        Raises as `mvdb.Database.upsert` does; then nothing is added.
        """
        ids = _ids(documents_ids)
        if self.database is None:
            if not ids:
                return self
            self.path.parent.mkdir(parents=True, exist_ok=True)
            dim = _dim(documents_embeddings)
            self.database = mvdb.open(self.path, dim=dim, bits=self.nbits)
        self.database.upsert(ids, documents_embeddings)
        return self

    def update_documents(
        self, documents_ids: Id | Sequence[Id], documents_embeddings: Any
    ) -> MvdbIndex:
        """The same as `add_documents`."""
        return self.add_documents(documents_ids, documents_embeddings)

    def remove_documents(self, documents_ids: Id | Sequence[Id]) -> MvdbIndex:
        """Removes documents, in one transaction. Unknown ids are ignored."""
        if self.database is not None:
            self.database.delete(_ids(documents_ids))
        return self

    def __call__(
        self, queries_embeddings: Any, k: int = 10, subset: Subset | None = None
    ) -> list[list[RerankResult]]:
        """The k best documents of each query, by MaxSim descending.

        Args:
            queries_embeddings: a matrix (m, dim) for each query: a list of arrays or tensors, or a
                3-D one. A single matrix is one query.
            k: documents of each query, at most.
            subset: only these ids: a list of them for all queries, or a list of lists, one for
                each query. Unknown ids are ignored; an empty list gives no documents.

        Raises InvalidInputError before the first documents were added, and as
        `mvdb.Database.search` does.
        """
        queries = _queries(queries_embeddings)
        with self._documents().snapshot() as snapshot:
            if subset is None or not _is_nested(subset):
                found = snapshot.search_batch(
                    queries, k, ids=subset, threads=self._threads, **self._options
                )
                return [_results(hits) for hits in found]
            if len(subset) != len(queries):
                raise InvalidInputError(
                    f"subset: {len(subset)} lists of ids for {len(queries)} queries"
                )
            return [
                _results(snapshot.search(query, k, ids=ids, **self._options))
                for query, ids in zip(queries, subset, strict=True)
            ]

    def get_documents_embeddings(
        self, documents_ids: Sequence[Sequence[Id]]
    ) -> list[list[np.ndarray[Any, np.dtype[np.float32]]]]:
        """The stored vectors (n, dim) float32 of the documents in each list of ids.

        Raises NotFoundError for an unknown id."""
        with self._documents().snapshot() as snapshot:
            return [list(snapshot.vectors(_ids(ids))) for ids in documents_ids]

    def _documents(self) -> mvdb.Database:
        if self.database is None:
            raise InvalidInputError(f"{self.path}: the index is empty; add documents first")
        return self.database


def _ids(value: Any) -> list[Id]:
    return [value] if isinstance(value, (str, int)) else list(value)


def _is_nested(subset: Subset) -> bool:
    """Whether it has lists of ids, not ids."""
    return not isinstance(subset, (str, int)) and any(
        not isinstance(one, (str, int, np.integer)) for one in subset
    )


def _dim(embeddings: Any) -> int:
    """Columns of the first matrix."""
    first = embeddings if getattr(embeddings, "ndim", 0) else next(iter(embeddings), ())
    shape = getattr(first, "shape", None) or np.shape(first)
    if len(shape) < 2:
        raise InvalidInputError(
            "documents_embeddings: a matrix (tokens, dim) per document is needed, not "
            f"{shown(first)}"
        )
    return int(shape[-1])


def _queries(embeddings: Any) -> Sequence[Any]:
    return [embeddings] if getattr(embeddings, "ndim", 0) == 2 else embeddings


def _results(hits: Sequence[Hit]) -> list[RerankResult]:
    return [RerankResult(id=hit.id, score=hit.score) for hit in hits]
