"""Documents into a Parquet file: the columns that `Database.insert_batches` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.extras import pyarrow
from mvdb.importers.arrow_rows import INTEGER_IDS


class ParquetWriter:
    """A context manager that writes documents to a new file.

    | column | type |
    |---|---|
    | id | int64, or string; of a database with both, string |
    | id_is_integer | bool; of a database with both |
    | tenant | string; where tenants are separated |
    | text | string |
    | metadata | string: a JSON object, as it is stored |
    | embeddings | list<fixed_size_list<float32>[dim]>; with vectors |
    """

    def __init__(
        self, path: Path, *, dim: int | None, id_types: set[type], tenants: bool = False
    ) -> None:
        """dim: of the vectors; None: without vectors. id_types: those of all ids to come."""
        arrow = pyarrow()
        self._mixed = len(id_types) > 1
        self._id_type = arrow.int64() if id_types == {int} else arrow.string()
        self._dim = dim
        columns = [("id", self._id_type)]
        columns += [(INTEGER_IDS, arrow.bool_())] if self._mixed else []
        columns += [("tenant", arrow.string())] if tenants else []
        columns += [("text", arrow.string()), ("metadata", arrow.string())]
        if dim is not None:
            columns += [("embeddings", arrow.list_(arrow.list_(arrow.float32(), dim)))]
        self._schema = arrow.schema(columns)
        self._writer = pyarrow("parquet").ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(
        self,
        ids: Sequence[str | int],
        texts: Sequence[str | None],
        metadata: Sequence[str | None],
        vectors: Sequence[NDArray[np.float32]] | None = None,
        tenant: str | None = None,
    ) -> None:
        """Appends documents, as a row group. metadata: JSON texts."""
        arrow = pyarrow()
        columns: dict[str, Any] = {"text": list(texts), "metadata": list(metadata)}
        columns["id"] = list(map(str, ids)) if self._mixed else list(ids)
        if self._mixed:
            columns[INTEGER_IDS] = [isinstance(id, int) for id in ids]
        if tenant is not None:
            columns["tenant"] = [tenant] * len(ids)
        arrays = []
        for field in self._schema:
            if field.name == "embeddings":
                arrays.append(self._lists(vectors or []))
            else:
                arrays.append(arrow.array(columns[field.name], field.type))
        self._writer.write_batch(arrow.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _lists(self, vectors: Sequence[NDArray[np.float32]]) -> Any:
        """A column of matrices, from their memory."""
        arrow = pyarrow()
        ends = np.cumsum([0, *map(len, vectors)], dtype=np.int32)
        flat = np.concatenate([np.empty((0, self._dim or 0), np.float32), *vectors]).ravel()
        tokens = arrow.FixedSizeListArray.from_arrays(arrow.array(flat), self._dim)
        return arrow.ListArray.from_arrays(arrow.array(ends), tokens)
