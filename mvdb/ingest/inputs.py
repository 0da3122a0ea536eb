"""What users hand in, checked and brought into one form: ids, vectors, texts, metadata.

Vectors may be anything with ``__array__`` or DLPack on the CPU, in float16, float32, float64 or
bfloat16. Torch tensors are recognised by their methods; torch is never imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.documents import ids as id_keys
from mvdb.documents import metadata as metadata_json
from mvdb.errors import DimensionMismatch, InvalidInputError, shown
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
    if array.dtype.name == "bfloat16":
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


def as_float32(array: NDArray[Any]) -> core.Floats:
    """Rows as contiguous float32, of the same direction: rows of float64 that float32 cannot hold
    are scaled first."""
    if array.dtype.itemsize == 8 and array.size:
        peaks = np.abs(array).max(axis=1)
        outside = np.isfinite(peaks) & (peaks > 0) & ((peaks < _TINY) | (peaks > _HUGE))
        if outside.any():
            array = array / np.where(outside, peaks, 1.0)[:, None]
    rows: core.Floats = np.ascontiguousarray(array, np.float32)
    return rows


def as_query(value: Any, dim: int) -> core.Floats:
    """Unit query vectors (m, dim) without their zero rows."""
    array = as_matrix(value, dim, "query")
    if not 1 <= len(array) <= MAX_QUERY_TOKENS:
        raise InvalidInputError(f"query: {len(array)} tokens; 1 to {MAX_QUERY_TOKENS} are allowed")
    rows, state = core.normalise(as_float32(array))
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
    flat: core.Floats
    lengths: core.Numbers


class DocumentVectors:
    """The vectors of the documents of one insert, whatever form they were given in."""

    def __init__(self, embeddings: Any, ids: Sequence[Id], single: bool, dim: int) -> None:
        self._ids = ids
        self._dim = dim
        self._flat: NDArray[Any] | None = None
        _refuse_texts(embeddings)
        if single and not _is_flat_pair(embeddings):
            embeddings = [embeddings]
        if _is_flat_pair(embeddings):
            self._flat = as_matrix(embeddings[0], dim, "embeddings")
            self.lengths = _check_lengths(embeddings[1], len(self._flat))
            count = len(self.lengths)
        else:
            self._matrices = _as_sequence(embeddings, len(ids))
            _refuse_texts(self._matrices)
            count = len(self._matrices)
        if count != len(ids):
            raise InvalidInputError(f"embeddings of {count} documents for {len(ids)} ids")

    def _raw_batches(self) -> Iterator[tuple[int, NDArray[Any], NDArray[np.int64]]]:
        """First document, rows and lengths of batches of about BATCH_TOKENS rows."""
        if self._flat is not None:
            ends = np.cumsum(self.lengths)
            first = 0
            while first < len(ends):
                start = int(ends[first] - self.lengths[first])
                last = int(np.searchsorted(ends, start + BATCH_TOKENS, side="right"))
                last = max(last, first + 1)
                yield first, self._flat[start : int(ends[last - 1])], self.lengths[first:last]
                first = last
            return
        group: list[NDArray[Any]] = []
        first, size = 0, 0
        for i, matrix in enumerate(self._matrices):
            array = as_matrix(matrix, self._dim, f"embeddings of document {self._ids[i]!r}")
            if group and size + len(array) > BATCH_TOKENS:
                yield first, _stack(group), np.array([len(part) for part in group], np.int64)
                group, first, size = [], i, 0
            group.append(array)
            size += len(array)
        if group:
            yield first, _stack(group), np.array([len(part) for part in group], np.int64)

    def batches(self) -> Iterator[VectorBatch]:
        """Checked and normalised batches, in order.

        Raises InvalidInputError naming the document and the row for values that are not finite and
        for documents without any row that is not zero."""
        for first, raw, lengths in self._raw_batches():
            rows, state = core.normalise(as_float32(raw))
            owner = np.repeat(np.arange(len(lengths)), lengths)
            if (state == core.ROW_NOT_FINITE).any():
                at = int(np.argmax(state == core.ROW_NOT_FINITE))
                row = at - int(lengths[: owner[at]].sum())
                raise InvalidInputError(
                    f"document {self._ids[first + int(owner[at])]!r}, row {row}: a value is not "
                    "finite (NaN or Inf)"
                )
            keep = state == core.ROW_UNIT
            kept = np.bincount(owner[keep], minlength=len(lengths)).astype(np.uint32)
            self._check_kept(first, kept)
            yield VectorBatch(first, rows if keep.all() else rows[keep], kept)

    def _check_kept(self, first: int, kept: core.Numbers) -> None:
        if (kept == 0).any():
            name = self._ids[first + int(np.argmax(kept == 0))]
            raise InvalidInputError(f"document {name!r}: no token vectors (all rows are zero)")
        if (kept > MAX_DOCUMENT_TOKENS).any():
            name = self._ids[first + int(np.argmax(kept > MAX_DOCUMENT_TOKENS))]
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


def _stack(group: list[NDArray[Any]]) -> NDArray[Any]:
    return group[0] if len(group) == 1 else np.concatenate(group)


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


def as_ids(value: Id | Sequence[Id]) -> tuple[list[Id], list[bytes], bool]:
    """Ids, their keys, and whether one id alone was given. InvalidInputError for an id that is
    none, and for one given twice."""
    names = id_keys.as_list(value)
    keys = [id_keys.encode(name) for name in names]
    names = [id_keys.plain(name) for name in names]
    if len(set(keys)) != len(keys):
        seen: set[bytes] = set()
        twice = next(name for name, key in zip(names, keys, strict=True) if _repeats(key, seen))
        raise InvalidInputError(f"id {twice!r} is given twice in one call")
    return names, keys, id_keys.is_single(value)


def _repeats(key: bytes, seen: set[bytes]) -> bool:
    known = key in seen
    seen.add(key)
    return known


def as_texts(value: str | Sequence[str | None] | None, count: int) -> list[bytes | None]:
    """UTF-8 texts, one per document."""
    if value is None:
        return [None] * count
    texts = [value] if isinstance(value, str) else listed("texts", value)
    if len(texts) != count:
        raise InvalidInputError(f"{len(texts)} texts for {count} ids")
    encoded: list[bytes | None] = []
    for i, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise InvalidInputError(f"texts[{i}]: a str is needed, not {type(text).__name__}")
        try:
            encoded.append(None if text is None else text.encode("utf-8"))
        except UnicodeEncodeError:
            raise InvalidInputError(f"texts[{i}]: not valid Unicode (lone surrogate)") from None
    return encoded


def as_metadata(value: Any, count: int) -> list[bytes | None]:
    """Metadata as JSON, one per document."""
    if value is None:
        return [None] * count
    entries = [value] if isinstance(value, Mapping) else listed("metadata", value)
    if len(entries) != count:
        raise InvalidInputError(f"metadata of {len(entries)} documents for {count} ids")
    encoded: list[bytes | None] = []
    for i, entry in enumerate(entries):
        if entry is None:
            encoded.append(None)
            continue
        if isinstance(entry, Mapping):
            entry = dict(entry)
        try:
            metadata_json.validate_metadata(entry, f"metadata[{i}]")
            encoded.append(metadata_json.dumps(entry))
        except (ValueError, TypeError) as error:
            raise InvalidInputError(str(error)) from None
    return encoded


class PerDocument:
    """An argument of insert for several documents, of which some can be taken."""

    def __init__(self, what: str, value: Any, count: int, dim: int) -> None:
        """what: the argument's name. Raises InvalidInputError when it is not for `count` documents,
        which taking some of them would hide."""
        self._starts: NDArray[np.int64] | None = None
        found = count
        if value is None:
            self._values: Any = None
        elif what == "embeddings" and _is_flat_pair(value):
            self._values = as_matrix(value[0], dim, what)
            self._lengths = _check_lengths(value[1], len(self._values))
            self._starts = np.concatenate([[0], np.cumsum(self._lengths)])
            found = len(self._lengths)
        else:
            entries = _as_sequence(value, count) if what == "embeddings" else listed(what, value)
            self._values = entries
            found = len(entries)
        if found != count:
            raise InvalidInputError(f"{what} of {found} documents for {count} ids")

    def take(self, chosen: Sequence[int]) -> Any:
        """The argument for these documents (at least one, ascending), without copies of vectors."""
        if self._values is None:
            return None
        first, last = chosen[0], chosen[-1] + 1
        together = last - first == len(chosen)
        if self._starts is None:
            return self._values[first:last] if together else [self._values[i] for i in chosen]
        if together:
            rows = self._values[int(self._starts[first]) : int(self._starts[last])]
            return rows, self._lengths[first:last]
        return [self._values[int(self._starts[i]) : int(self._starts[i + 1])] for i in chosen]
