"""Token vectors as users hand them in, checked and brought to unit length.

Anything with ``__array__`` or DLPack on the CPU, in float16, float32, float64 or bfloat16. Torch
tensors are recognised by their methods; torch is never imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import DimensionMismatch, InvalidInputError, shown
from mvdb.ingest.encoded_texts import EncodedTexts
from mvdb.state.encoder_identity import EncoderIdentity
from mvdb.threads.workers import ordered_map
from mvdb.types import Id

BATCH_TOKENS = 32_768
MAX_QUERY_TOKENS = 4096
MAX_DOCUMENT_TOKENS = 100_000
_TINY, _HUGE = 1e-18, 1e18
"""Greatest values of a row between which its sum of squares is far from float32's limits."""


def as_array(value: Any, what: str) -> NDArray[Any]:
    """`value` as a floating-point array without a copy where that is possible.

    Raises InvalidInputError for object arrays, ragged lists and dtypes that are not floating."""
    try:
        if hasattr(value, "detach") and hasattr(value, "cpu"):  # a torch tensor
            value = value.detach().cpu()
            if "bfloat16" in str(value.dtype):
                value = value.float()
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, BufferError, AttributeError) as error:
        raise InvalidInputError(f"{what}: not an array of numbers ({error})") from None
    # The name of a type takes long to make; numpy has no bfloat16 of its own.
    if array.dtype.isbuiltin != 1 and array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise InvalidInputError(
            f"{what}: dtype {array.dtype}; float16, float32, float64 or bfloat16 is needed"
        )
    return array


def as_matrix(value: Any, dim: int, what: str) -> NDArray[Any]:
    """A floating-point matrix (n, dim), n >= 1."""
    array = as_array(value, what)
    if array.ndim != 2:
        raise InvalidInputError(
            f"{what}: shape {array.shape}; a matrix (tokens, {dim}), one row per token, is needed"
        )
    if array.shape[1] != dim:
        raise DimensionMismatch(
            f"{what}: vectors of {array.shape[1]} dimensions, the file has {dim}"
        )
    return array


def as_floats(array: NDArray[Any]) -> core.Floats | core.Halves:
    """Rows as contiguous float32, or float16 where they are, of the same direction: rows of float64
    that float32 cannot hold are scaled first."""
    if array.dtype.itemsize == 8 and array.size:
        peaks = np.abs(array).max(axis=1)
        outside = np.isfinite(peaks) & (peaks > 0) & ((peaks < _TINY) | (peaks > _HUGE))
        if outside.any():
            array = array / np.where(outside, peaks, 1.0)[:, None]
    return np.ascontiguousarray(array, np.float16 if array.dtype.itemsize == 2 else np.float32)


def as_query(value: Any, dim: int) -> core.Floats:
    """Unit query vectors (m, dim) without their zero rows."""
    array = as_matrix(value, dim, "query")
    if not 1 <= len(array) <= MAX_QUERY_TOKENS:
        raise InvalidInputError(f"query: {len(array)} tokens; 1 to {MAX_QUERY_TOKENS} are allowed")
    rows, state = core.normalise(as_floats(array))
    if state.tobytes().count(core.ROW_UNIT) == len(rows):  # bytes are counted sooner than arrays
        return rows
    if (state == core.ROW_NOT_FINITE).any():
        row = int(np.argmax(state == core.ROW_NOT_FINITE))
        raise InvalidInputError(f"query: row {row} has a value that is not finite (NaN or Inf)")
    kept: core.Floats = rows[state == core.ROW_UNIT]
    if len(kept) == 0:
        raise InvalidInputError("query: all rows are zero")
    return kept


@dataclass(frozen=True)
class VectorBatch:
    """Documents first .. first + len(lengths) - 1 of an insert: unit rows, zero rows dropped."""

    first: int
    flat: core.Halves
    lengths: core.Numbers


class DocumentVectors:
    """The matrices of several documents. Checked as `batches` comes to them. encoder: that made
    them; None: unknown."""

    def __init__(
        self, matrices: Sequence[Any], dim: int, encoder: EncoderIdentity | None = None
    ) -> None:
        self._matrices = matrices
        self._dim = dim
        self.encoder = encoder

    @classmethod
    def of(cls, embeddings: Any, count: int, dim: int, *, single: bool) -> DocumentVectors:
        """Of `count` documents; `single`: of one that was given by itself, not in a sequence.
        InvalidInputError when they are of another number."""
        _refuse_texts(embeddings)
        if _is_flat_pair(embeddings):
            flat = as_matrix(embeddings[0], dim, "embeddings")
            lengths = _check_lengths(embeddings[1], len(flat))
            ends = np.cumsum(lengths)
            spans = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
            matrices: Sequence[Any] = [flat[start:end] for start, end in spans]
        else:
            matrices = [embeddings] if single else _as_sequence(embeddings, count)
            _refuse_texts(matrices)
        if len(matrices) != count:
            raise InvalidInputError(f"embeddings of {len(matrices)} documents for {count} ids")
        return cls(
            matrices, dim, embeddings.identity if isinstance(embeddings, EncodedTexts) else None
        )

    def take(self, chosen: Sequence[int]) -> DocumentVectors:
        """Those of these documents."""
        return DocumentVectors([self._matrices[i] for i in chosen], self._dim, self.encoder)

    def _groups(self, names: Sequence[Id]) -> Iterator[tuple[int, list[NDArray[Any]]]]:
        """First document and matrices of batches of about BATCH_TOKENS rows."""
        group: list[NDArray[Any]] = []
        first, size = 0, 0
        for i, matrix in enumerate(self._matrices):
            array = as_matrix(matrix, self._dim, f"embeddings of document {names[i]!r}")
            if group and size + len(array) > BATCH_TOKENS:
                yield first, group
                group, first, size = [], i, 0
            group.append(array)
            size += len(array)
        if group:
            yield first, group

    def batches(self, names: Sequence[Id], executor: Executor) -> Iterator[VectorBatch]:
        """Checked and normalised batches, in order; several are made at a time. `names`: ids, for
        messages.

        Raises InvalidInputError naming the document and the row for values that are not finite and
        for documents without any row that is not zero."""
        for first, lengths, rows, state in ordered_map(executor, _normalised, self._groups(names)):
            owner = np.repeat(np.arange(len(lengths)), lengths)
            if (state == core.ROW_NOT_FINITE).any():
                at = int(np.argmax(state == core.ROW_NOT_FINITE))
                row = at - int(lengths[: owner[at]].sum())
                raise InvalidInputError(
                    f"document {names[first + int(owner[at])]!r}, row {row}: a value is not "
                    "finite (NaN or Inf)"
                )
            keep = state == core.ROW_UNIT
            kept = np.bincount(owner[keep], minlength=len(lengths)).astype(np.uint32)
            _check_kept(names[first:], kept)
            yield VectorBatch(first, rows if keep.all() else rows[keep], kept)


def _normalised(
    group: tuple[int, list[NDArray[Any]]],
) -> tuple[int, NDArray[np.int64], core.Halves, core.Bytes]:
    """First document, lengths and unit rows of a batch, and the kinds of the rows."""
    first, matrices = group
    lengths = np.array([len(matrix) for matrix in matrices], np.int64)
    raw = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
    rows, state = core.normalise(as_floats(raw), np.float16)
    return first, lengths, rows, state


def _check_kept(names: Sequence[Id], kept: core.Numbers) -> None:
    if (kept == 0).any():
        name = names[int(np.argmax(kept == 0))]
        raise InvalidInputError(f"document {name!r}: no token vectors (all rows are zero)")
    if (kept > MAX_DOCUMENT_TOKENS).any():
        name = names[int(np.argmax(kept > MAX_DOCUMENT_TOKENS))]
        raise InvalidInputError(
            f"document {name!r}: {int(kept.max())} token vectors; at most "
            f"{MAX_DOCUMENT_TOKENS} are allowed"
        )


def _refuse_texts(embeddings: Any) -> None:
    """For `insert("id", "a text")`: the second argument is not the text."""
    first = embeddings
    if isinstance(embeddings, (list, tuple)) or getattr(embeddings, "ndim", 0) == 1:
        first = next(iter(embeddings), None)
    if isinstance(first, str):
        raise InvalidInputError(
            "embeddings: a sequence of matrices is needed, not text; did you mean texts=?"
        )


def _is_flat_pair(embeddings: Any) -> bool:
    """Whether it is (flat, lengths): a matrix and a vector of integers."""
    if not isinstance(embeddings, tuple) or len(embeddings) != 2:
        return False
    lengths = embeddings[1]
    if isinstance(lengths, (list, tuple)):
        return all(isinstance(length, (int, np.integer)) for length in lengths)
    dtype, ndim = getattr(lengths, "dtype", None), getattr(lengths, "ndim", None)
    return ndim == 1 and ("int" in str(dtype))


def _check_lengths(value: Any, n_rows: int) -> NDArray[np.int64]:
    try:
        lengths = np.array([int(length) for length in value], dtype=np.int64)
    except OverflowError:
        raise InvalidInputError("lengths: an entry does not fit 64 bits") from None
    if (lengths < 0).any():
        raise InvalidInputError(f"lengths: entry {int(np.argmax(lengths < 0))} is negative")
    if (lengths > n_rows).any():  # before they are added up: a sum may wrap around
        at = int(np.argmax(lengths > n_rows))
        raise InvalidInputError(f"lengths: entry {at} is {lengths[at]}, flat has {n_rows} rows")
    if int(lengths.sum()) != n_rows:
        raise InvalidInputError(f"lengths add up to {int(lengths.sum())}, flat has {n_rows} rows")
    return lengths


def _as_sequence(embeddings: Any, count: int) -> Sequence[Any]:
    if not hasattr(embeddings, "ndim") and (
        hasattr(embeddings, "__dlpack__") or hasattr(embeddings, "__array__")
    ):
        embeddings = as_array(embeddings, "embeddings")
    ndim = getattr(embeddings, "ndim", None)
    if ndim == 2 and count == 1:
        return [embeddings]
    if ndim is not None and ndim != 3:
        raise InvalidInputError(
            f"embeddings: an array of {ndim} dimensions for {count} ids; give a sequence of "
            "matrices, a 3-D array, or a tuple (flat, lengths)"
        )
    return embeddings if ndim is not None else listed("embeddings", embeddings)


def listed(what: str, value: Any, each: str = "document") -> list[Any]:
    """Whatever can be iterated over, one entry for each."""
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        raise InvalidInputError(
            f"{what}: a sequence with one entry per {each} is needed, not {type(value).__name__}"
        )
    try:
        return list(value)
    except OverflowError:  # a range of more than any memory holds
        raise InvalidInputError(f"{what}: {shown(value)} has too many entries") from None
