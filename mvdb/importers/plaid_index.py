"""Index directories of fast-plaid and of ColBERT: documents decoded chunk by chunk.

Both have, for chunk I of `num_chunks` in metadata.json:

| file | content |
|---|---|
| doclens.I.json | the number of tokens of each document, in order |
| I.codes.npy or .pt | the number of the centroid of each token |
| I.residuals.npy or .pt | dim * bits / 8 bytes for each token |

and the codebook: centroids and bucket weights. fast-plaid writes .npy files, ColBERT files of
torch. fast-plaid from 1.7 on keeps the tokens of all chunks in merged_codes.npy and
merged_residuals.npy instead; merged_*.manifest.json tells how many rows each chunk has there.
A document's number is its place over all chunks.

fast-plaid's metadata.db, where it is there, has the documents' metadata.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import accumulate, compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError
from mvdb.importers import npy_file, torch_tensors
from mvdb.importers.choices import Choices
from mvdb.importers.plaid_codec import PlaidCodec
from mvdb.importers.plaid_metadata import FILE as FIELDS
from mvdb.importers.plaid_metadata import PlaidMetadata
from mvdb.importers.pylate_ids import PylateIds, pylate_ids
from mvdb.importers.source import Source, present, read_json, whole

_MAX_CHUNKS = 1 << 20
_MAX_TOKENS = 1 << 40
PLAID_KINDS = FAST_PLAID, COLBERT = "fast-plaid", "colbert"
_INNER = "fast_plaid_index"
"""The folder of the index within PyLate's."""


class PlaidIndex(ABC):
    """An index directory, its small files read and checked."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.part_of = f"the {self.kind} index {folder}"
        self.metadata_path = folder / "metadata.json"
        self.metadata = read_json(self.metadata_path, self.part_of)
        if not isinstance(self.metadata, dict):
            raise InvalidInputError(f"{self.metadata_path}: a JSON object is needed")
        self.chunks = self._whole("num_chunks", _MAX_CHUNKS)
        self.codec = self.load_codec()
        self._ids = _ids_beside(folder)
        self._fields = PlaidMetadata(folder / FIELDS) if (folder / FIELDS).is_file() else None
        self._begins: dict[str, list[int]] = {}
        for chunk in range(self.chunks):
            present(self.doclens_path(chunk), self.part_of)
            self.require(chunk)

    @abstractmethod
    def load_codec(self) -> PlaidCodec:
        """The codebook, from its files."""

    @abstractmethod
    def require(self, chunk: int) -> None:
        """Refuses a chunk whose files are missing."""

    @abstractmethod
    def tokens(self, chunk: int, count: int) -> tuple[NDArray[Any], NDArray[Any], Path]:
        """Codes (count,), residuals (count, bytes) of a chunk, and the file of the codes."""

    def doclens_path(self, chunk: int) -> Path:
        return self.folder / f"doclens.{chunk}.json"

    def source(self) -> Source:
        """The documents, decoded when they are asked for."""
        total = self.metadata.get("num_documents")
        source = Source(
            self.kind,
            self.codec.dim,
            total if type(total) is int and total >= 0 else None,
            lambda: self._batches(source),
            bits=self.codec.bits,
        )
        return source

    def doclens(self, chunk: int) -> NDArray[np.int64]:
        """Numbers of tokens of the documents of a chunk."""
        path = self.doclens_path(chunk)
        values = read_json(path, self.part_of)
        fits = isinstance(values, list) and all(type(one) is int for one in values)
        if fits and all(0 <= one <= _MAX_TOKENS for one in values) and sum(values) <= _MAX_TOKENS:
            return np.array(values, dtype=np.int64)
        raise InvalidInputError(f"{path}: a list of numbers of tokens is needed")

    def _batches(self, source: Source) -> Iterator[dict[str, Any]]:
        number = source.skipped = 0
        for chunk in range(self.chunks):
            lengths = self.doclens(chunk)
            codes, residuals, place = self.tokens(chunk, int(lengths.sum()))
            for first, some, rows in self.codec.batches(lengths, codes, residuals, place):
                ids = self._names(number + first, len(some))
                fields = self._metadata(number + first, len(some))
                keep = np.array([id is not None for id in ids]) & (some > 0)
                source.skipped += int(np.count_nonzero(~keep))
                if not keep.all():
                    rows, some = rows[np.repeat(keep, some)], some[keep]
                    ids, fields = list(compress(ids, keep)), list(compress(fields, keep))
                if len(some):
                    yield {"ids": ids, "embeddings": (rows, some), "metadata": fields}
            number += len(lengths)

    def _names(self, first: int, count: int) -> list[Any]:
        if self._ids is None:
            return list(range(first, first + count))
        return self._ids.of(first, count)

    def _metadata(self, first: int, count: int) -> list[Any]:
        return [None] * count if self._fields is None else self._fields.of(first, count)

    def _whole(self, field: str, greatest: int, inside: Any = None) -> int:
        values = self.metadata if inside is None else inside
        return whole(values.get(field), self.metadata_path, field, 0, greatest)

    def checked(self, path: Path, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """An array of integers that has to have a shape."""
        if array.shape != shape or array.dtype.kind not in "iu":
            raise InvalidInputError(
                f"{path}: an array of {array.dtype} of the shape {array.shape}; {self.part_of} "
                f"needs integers of the shape {shape}"
            )
        return array


class FastPlaidIndex(PlaidIndex):
    """A directory that fast-plaid wrote."""

    kind = FAST_PLAID

    def load_codec(self) -> PlaidCodec:
        centroids = self._array(self.folder / "centroids.npy")
        weights = self._array(self.folder / "bucket_weights.npy")
        return PlaidCodec(centroids, weights, self._whole("nbits", 8), self.folder)

    def require(self, chunk: int) -> None:
        for name in ("codes", "residuals"):
            if not self._merged(name).is_file():
                present(self.folder / f"{chunk}.{name}.npy", self.part_of)

    def tokens(self, chunk: int, count: int) -> tuple[NDArray[Any], NDArray[Any], Path]:
        codes, place = self._rows("codes", chunk, count)
        residuals, other = self._rows("residuals", chunk, count)
        codes = self.checked(place, codes, (count,))
        shape = (count, self.codec.bytes_per_token)
        return codes, self.checked(other, residuals, shape), place

    def _merged(self, name: str) -> Path:
        return self.folder / f"merged_{name}.npy"

    def _rows(self, name: str, chunk: int, count: int) -> tuple[NDArray[Any], Path]:
        """The rows of a chunk, from its own file or else from the merged one."""
        path = self.folder / f"{chunk}.{name}.npy"
        if path.is_file():
            return self._array(path), path
        path = self._merged(name)
        if name not in self._begins:
            self._begins[name] = [0, *accumulate(self._merged_rows(name))]
        begin = self._begins[name][chunk]
        return self._array(path)[begin : begin + count], path

    def _merged_rows(self, name: str) -> Iterator[int]:
        """Rows of each chunk in a merged file."""
        path = self.folder / f"merged_{name}.manifest.json"
        manifest = read_json(path, self.part_of) if path.is_file() else {}
        for chunk in range(self.chunks):
            entry = manifest.get(f"{chunk}.{name}.npy") if isinstance(manifest, dict) else None
            if isinstance(entry, dict) and "rows" in entry:
                yield whole(entry["rows"], path, "rows", 0, _MAX_TOKENS)
            else:
                yield int(self.doclens(chunk).sum())

    def _array(self, path: Path) -> NDArray[Any]:
        return npy_file.load(present(path, self.part_of))


class ColbertIndex(PlaidIndex):
    """A directory that Stanford's ColBERT wrote, or PyLate's copy of it."""

    kind = COLBERT

    def load_codec(self) -> PlaidCodec:
        config = self.metadata.get("config")
        if not isinstance(config, dict):
            raise InvalidInputError(f"{self.metadata_path}: config: a JSON object is needed")
        path = self.folder / "buckets.pt"
        buckets = torch_tensors.load(present(path, self.part_of))
        if not isinstance(buckets, (tuple, list)) or len(buckets) != 2:
            raise InvalidInputError(f"{path}: bucket cutoffs and weights are needed")
        bits = self._whole("nbits", 8, config)
        return PlaidCodec(self._tensor("centroids.pt"), np.asarray(buckets[1]), bits, self.folder)

    def require(self, chunk: int) -> None:
        for name in ("codes", "residuals"):
            present(self.folder / f"{chunk}.{name}.pt", self.part_of)

    def tokens(self, chunk: int, count: int) -> tuple[NDArray[Any], NDArray[Any], Path]:
        codes, residuals = f"{chunk}.codes.pt", f"{chunk}.residuals.pt"
        shape = (count, self.codec.bytes_per_token)
        return (
            self.checked(self.folder / codes, self._tensor(codes), (count,)),
            self.checked(self.folder / residuals, self._tensor(residuals), shape),
            self.folder / codes,
        )

    def _tensor(self, name: str) -> NDArray[Any]:
        tensor = torch_tensors.load(present(self.folder / name, self.part_of))
        if not isinstance(tensor, np.ndarray):
            raise InvalidInputError(f"{self.folder / name}: one tensor is needed")
        return tensor


def fast_plaid_folder(folder: Path) -> Path:
    """The folder with the files of fast-plaid: PyLate keeps them in one below its own."""
    inner = folder / _INNER
    return inner if inner.is_dir() else folder


def _ids_beside(folder: Path) -> PylateIds | None:
    """The ids beside an index, if PyLate wrote it."""
    ids = pylate_ids(folder)
    return pylate_ids(folder.parent) if ids is None and folder.name == _INNER else ids


def open_fast_plaid(folder: Path, choices: Choices) -> Source:
    """An index of fast-plaid, or the folder of PyLate around it."""
    return FastPlaidIndex(fast_plaid_folder(folder)).source()


def open_colbert(folder: Path, choices: Choices) -> Source:
    """An index of ColBERT."""
    return ColbertIndex(folder).source()
