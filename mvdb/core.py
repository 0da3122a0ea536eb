"""The one door to the C core: the only module that imports ``mvdb._core``.

Every function here crosses into C once, for a batch or a query, and releases the GIL while there.
Arrays are C-contiguous; the comments in ``csrc/mvdb.h`` give the meaning of each argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mvdb._core import ffi, lib
from mvdb.errors import CorruptionError

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Bytes = NDArray[np.uint8]
Points = NDArray[np.int8]
Numbers = NDArray[np.uint32]

MAX_DIM: int = lib.MV_MAX_DIM
SCALES: int = lib.MV_SCALES
ROW_UNIT: int = lib.MV_ROW_UNIT
ROW_ZERO: int = lib.MV_ROW_ZERO
ROW_NOT_FINITE: int = lib.MV_ROW_NOT_FINITE

PLACE = np.dtype([("segment", np.uint32), ("document", np.uint32)])
"""A document of a list of segments (``mv_place``)."""

PROBE = np.dtype(
    [
        ("list", np.uint32),
        ("token", np.uint8),
        ("finds", np.uint8),
        ("rank", np.uint16),
        ("gain", np.float32),
    ]
)
"""A list to be read for a query token (``mv_probe``)."""

TOKEN = np.dtype(
    [("first", np.uint32), ("last", np.uint32), ("size", np.uint8), ("kind", np.uint8)],
    align=True,
)
"""Where a term stands in its text (``mv_token_range``)."""

LISTS_BLOCK: int = lib.MV_LISTS_BLOCK
LISTS_SLACK: int = lib.MV_LISTS_SLACK
BY_LISTS: int = lib.MV_BY_LISTS
BY_CODES: int = lib.MV_BY_CODES
BY_SCORES: int = lib.MV_BY_SCORES
SCORE_FAST: int = lib.MV_SCORE_FAST
SCORE_PRECISE: int = lib.MV_SCORE_PRECISE
FETCH_HINT: int = lib.MV_FETCH_HINT
FETCH_TOUCH: int = lib.MV_FETCH_TOUCH
EVENT_STAGE: int = lib.MV_EVENT_STAGE
EVENT_LISTS: int = lib.MV_EVENT_LISTS
EVENT_RECORDS: int = lib.MV_EVENT_RECORDS
EVENT_EARLY: int = lib.MV_EVENT_EARLY
EVENT_END: int = lib.MV_EVENT_END
TERMS_BLOCK: int = lib.MV_TERMS_BLOCK
TERMS_SLACK: int = lib.MV_TERMS_SLACK
GREATEST_WEIGHT: float = lib.mv_terms_greatest_weight()
"""Greatest weight of a term in a row."""
NO_ROW = 0xFFFF_FFFF
"""In a map of rows: the row is dropped."""

MAX_TERM: int = lib.MV_MAX_TERM
"""Bytes of the longest term."""
TOKEN_WORD: int = lib.MV_TOKEN_WORD
TOKEN_IDENTIFIER: int = lib.MV_TOKEN_IDENTIFIER
TOKEN_PART: int = lib.MV_TOKEN_PART
TOKEN_BIGRAM: int = lib.MV_TOKEN_BIGRAM


def _check(status: int, what: str) -> None:
    """Turns a status of the core into an exception, here alone."""
    if status == lib.MV_OK:
        return
    if status == lib.MV_ERROR_MEMORY:
        raise MemoryError(f"out of memory in {what}")
    if status == lib.MV_ERROR_CORRUPT:
        raise CorruptionError(f"{what}: the stored bytes contradict each other; run verify()")
    raise ValueError(f"{what}: an argument is out of range")


def _pointer(kind: str, array: NDArray[Any]) -> Any:
    return ffi.from_buffer(kind, array)


def padded_dim(dim: int) -> int:
    """Dimensions of a row inside the core: `dim` rounded up to a multiple of 16."""
    return int(lib.mv_padded_dim(dim))


def _check_width(rows: NDArray[Any], dim: int) -> None:
    if rows.shape[1] != padded_dim(dim):
        raise ValueError(f"rows of {rows.shape[1]} for {dim} dimensions")


def token_bytes(dim: int, bits: int) -> int:
    """Bytes of a token in a record."""
    return int(lib.mv_token_bytes(dim, bits))


def code_bytes(n_centroids: int) -> int:
    """Bytes of a centroid code."""
    return int(lib.mv_code_bytes(n_centroids))


def instruction_set() -> str:
    """Name of the kernels in use: scalar, avx2, avxvnni, avx512, amx, neon or dotprod."""
    return str(ffi.string(lib.mv_isa()).decode())


def select_instruction_set(name: str) -> bool:
    """Chooses kernels by name, for tests; False when the processor has none of that name."""
    return bool(lib.mv_isa_select(name.encode()))


def normalise(rows: Floats | Halves, dtype: DTypeLike = np.float32) -> tuple[NDArray[Any], Bytes]:
    """Unit-length copies of `rows` (n, dim), of float16 or float32 as `rows` may be, and the kind
    of each: ROW_UNIT, ROW_ZERO or ROW_NOT_FINITE."""
    out = np.empty(rows.shape, dtype)
    state = np.empty(len(rows), np.uint8)
    lib.mv_normalise(
        ffi.from_buffer(rows), rows.itemsize, *rows.shape,
        ffi.from_buffer(out), out.itemsize, _pointer("uint8_t[]", state),
    )  # fmt: skip
    return out, state


def make_points(vectors: Floats, seed: int) -> Points:
    """int8 points (n, padded) of unit vectors (n, dim), for training and assignment."""
    n, dim = vectors.shape
    points = np.empty((n, padded_dim(dim)), np.int8)
    _check(
        lib.mv_points(_pointer("float[]", vectors), n, dim, seed, _pointer("int8_t[]", points)),
        "quantising points",
    )
    return points


def kmeans(points: Points, dim: int, k: int, iterations: int, seed: int) -> Bytes:
    """Centroid rows (k, padded) of points (n, padded); deterministic."""
    _check_width(points, dim)
    rows = np.empty((k, points.shape[1]), np.uint8)
    _check(
        lib.mv_kmeans(
            _pointer("int8_t[]", points), len(points), dim, k, iterations, seed,
            _pointer("uint8_t[]", rows),
        ),
        "k-means",
    )  # fmt: skip
    return rows


def nearest(rows: Bytes, dim: int, points: Points) -> Numbers:
    """Number of the nearest row for each point."""
    _check_width(points, dim)
    _check_width(rows, dim)
    out = np.empty(len(points), np.uint32)
    _check(
        lib.mv_nearest(
            _pointer("uint8_t[]", rows), len(rows), dim,
            _pointer("int8_t[]", points), len(points), _pointer("uint32_t[]", out),
        ),
        "assigning points",
    )  # fmt: skip
    return out


@dataclass(frozen=True)
class CodecSpec:
    """The tables that define a codec, as a codebook stores them."""

    dim: int
    bits: int
    seed: int
    rows: Bytes  # (n_centroids, padded), int8 + 128
    group_rows: Bytes  # (n_groups, padded)
    group_starts: Numbers  # (n_groups + 1,), first member of each group
    members: Numbers  # (n_centroids,), the centroids by group
    a_scales: Floats  # (SCALES,)
    b_scales: Floats  # (SCALES,)


class Codec:
    """A trained codec in memory. Shared by threads; immutable."""

    def __init__(self, spec: CodecSpec) -> None:
        self.dim = spec.dim
        self.bits = spec.bits
        self.seed = spec.seed
        self.n_centroids = len(spec.rows)
        self.token_bytes = token_bytes(spec.dim, spec.bits)
        self.code_bytes = code_bytes(self.n_centroids)
        c_spec = ffi.new("mv_codec_spec *")
        c_spec.dim, c_spec.bits, c_spec.seed = spec.dim, spec.bits, spec.seed
        c_spec.n_centroids, c_spec.n_groups = len(spec.rows), len(spec.group_rows)
        keep = [  # the struct borrows; the core copies before mv_codec_new returns
            _pointer("uint8_t[]", spec.rows),
            _pointer("uint8_t[]", spec.group_rows),
            _pointer("uint32_t[]", spec.group_starts),
            _pointer("uint32_t[]", spec.members),
            _pointer("float[]", spec.a_scales),
            _pointer("float[]", spec.b_scales),
        ]
        c_spec.rows, c_spec.group_rows, c_spec.group_starts, c_spec.members = keep[:4]
        c_spec.a_scales, c_spec.b_scales = keep[4:]
        sizes = ffi.new("mv_codec_sizes *")
        sizes.rows, sizes.group_rows = spec.rows.size, spec.group_rows.size
        sizes.group_starts, sizes.members = spec.group_starts.size, spec.members.size
        sizes.a_scales, sizes.b_scales = spec.a_scales.size, spec.b_scales.size
        out = ffi.new("mv_codec **")
        _check(lib.mv_codec_new(c_spec, sizes, out), "the centroid tables")
        self.handle = ffi.gc(out[0], lib.mv_codec_free, size=spec.rows.nbytes)

    def fit_scales(self, vectors: Floats) -> tuple[Floats, Floats]:
        """The scales (a, b), each (n,), that unlimited tables would give the vectors (n, dim)."""
        a = np.empty(len(vectors), np.float32)
        b = np.empty(len(vectors), np.float32)
        _check(
            lib.mv_fit_scales(
                self.handle, _pointer("float[]", vectors), *vectors.shape,
                _pointer("float[]", a), _pointer("float[]", b),
            ),
            "fitting scales",
        )  # fmt: skip
        return a, b

    def squared_distances(self, points: Points) -> Floats:
        """Squared distance of each point (n, padded) to its centroid, in squared int8 units."""
        out = np.empty(len(points), np.float32)
        _check(
            lib.mv_distances(
                self.handle, _pointer("int8_t[]", points), *points.shape, _pointer("float[]", out)
            ),
            "measuring residuals",
        )
        return out

    def encode(self, vectors: Floats, lengths: Numbers) -> tuple[Bytes, Bytes, float]:
        """Codes, records and the sum of residual norms of documents given as (flat, lengths)."""
        n = len(vectors)
        codes = np.empty(n * self.code_bytes, np.uint8)
        records = np.empty(n * self.token_bytes, np.uint8)
        residual_sum = ffi.new("double *")
        _check(
            lib.mv_encode(
                self.handle, _pointer("float[]", vectors), *vectors.shape,
                _pointer("uint32_t[]", lengths), len(lengths),
                _pointer("uint8_t[]", codes), _pointer("uint8_t[]", records), residual_sum,
            ),
            "encoding",
        )  # fmt: skip
        return codes, records, float(residual_sum[0])

    def decode(
        self, codes: memoryview, code_bytes: int, record: memoryview, n_tokens: int
    ) -> Floats:
        """Reconstructed vectors (n_tokens, dim) of one document."""
        out = np.empty((n_tokens, self.dim), np.float32)
        _check(
            lib.mv_decode(
                self.handle, ffi.from_buffer("uint8_t[]", codes), len(codes), code_bytes,
                ffi.from_buffer("uint8_t[]", record), len(record), n_tokens,
                _pointer("float[]", out),
            ),
            "decoding",
        )  # fmt: skip
        return out


class NearGroups:
    """The groups near each centroid of a codec, in which stored vectors are sought again after
    centroids were added. Shared by threads; immutable; 32 bytes a centroid, or 64."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        out = ffi.new("mv_near_groups **")
        _check(lib.mv_near_groups_new(codec.handle, out), "the groups of centroids")
        self._handle = ffi.gc(out[0], lib.mv_near_groups_free, size=32 * codec.n_centroids)

    def nearest_codes(
        self, codes: bytes, code_bytes: int, records: bytes, lengths: Numbers
    ) -> memoryview:
        """The codes, `codec.code_bytes` each, of the centroids nearest to the stored vectors of
        documents, whose codes, of any `code_bytes`, and records follow each other."""
        out = np.empty(int(lengths.sum()) * self._codec.code_bytes, np.uint8)
        _check(
            lib.mv_nearest_codes(
                self._codec.handle, self._handle, ffi.from_buffer("uint8_t[]", codes), len(codes),
                code_bytes, ffi.from_buffer("uint8_t[]", records), len(records),
                _pointer("uint32_t[]", lengths), len(lengths), _pointer("uint8_t[]", out),
            ),
            "assigning stored vectors",
        )  # fmt: skip
        return out.data


def greatest_codes(codes: bytes, code_bytes: int, lengths: Numbers) -> Numbers:
    """The greatest code of each document, given by their codes one after the other."""
    greatest = np.empty(len(lengths), np.uint32)
    _check(
        lib.mv_greatest_codes(
            ffi.from_buffer("uint8_t[]", codes), len(codes), code_bytes,
            _pointer("uint32_t[]", lengths), len(lengths), _pointer("uint32_t[]", greatest),
        ),
        "the greatest codes",
    )  # fmt: skip
    return greatest


def count_lists(codes: Bytes, code_bytes: int, starts: Numbers, n_lists: int) -> Numbers:
    """Number of documents that have each code, of documents given as (codes, starts (n + 1,))."""
    counts = np.empty(n_lists, np.uint32)
    _check(
        lib.mv_lists_count(
            _pointer("uint8_t[]", codes), len(codes), code_bytes,
            _pointer("uint32_t[]", starts), len(starts) - 1, n_lists,
            _pointer("uint32_t[]", counts),
        ),
        "counting postings",
    )  # fmt: skip
    return counts


def pack_lists(
    codes: Bytes, code_bytes: int, starts: Numbers, counts: Numbers, first: int, last: int
) -> tuple[Bytes, Numbers]:
    """The packed lists first .. last - 1 (`first` begins a block), as bytes and block sizes."""
    documents = np.empty(max(1, int(counts[first:last].sum(dtype=np.int64))), np.uint32)
    _check(
        lib.mv_lists_collect(
            _pointer("uint8_t[]", codes), len(codes), code_bytes,
            _pointer("uint32_t[]", starts), len(starts) - 1, first, last,
            _pointer("uint32_t[]", counts), _pointer("uint32_t[]", documents), len(documents),
        ),
        "collecting postings",
    )  # fmt: skip
    part = np.ascontiguousarray(counts[first:last])
    out = np.empty(lib.mv_lists_bound(_pointer("uint32_t[]", part), len(part)), np.uint8)
    sizes = np.empty(-(-len(part) // LISTS_BLOCK), np.uint32)
    size = ffi.new("size_t *")
    _check(
        lib.mv_lists_pack(
            _pointer("uint32_t[]", part), _pointer("uint32_t[]", documents), len(part),
            _pointer("uint8_t[]", out), _pointer("uint32_t[]", sizes), size,
        ),
        "packing lists",
    )  # fmt: skip
    return out[: size[0]], sizes


class ListsView:
    """Addresses of a segment's inverted lists, as the core reads them. Kept alive as those of a
    `SegmentView` are.

    block_starts: uint32 (blocks + 1,), bytes. extent_blocks: uint32 (extents + 1,). checked:
    (blocks,), those verified so far, as the caller goes on to mark them."""

    def __init__(
        self,
        n_lists: int,
        block_starts: Numbers,
        extent_blocks: Numbers,
        extents: Sequence[memoryview],
        checked: NDArray[np.bool_],
    ) -> None:
        self.n_lists = n_lists
        self._keep = (block_starts, extent_blocks, tuple(extents), checked)
        self._extents = ffi.new("uint8_t *[]", [_address(part) for part in extents])
        self.struct = ffi.new("mv_lists *")
        self.struct.n_lists = n_lists
        self.struct.n_extents = len(extents)
        self.struct.block_starts = _pointer("uint32_t[]", block_starts)
        self.struct.extent_blocks = _pointer("uint32_t[]", extent_blocks)
        self.struct.extents = self._extents
        self.struct.checked = ffi.from_buffer("uint8_t[]", checked)
        sizes = ffi.new("size_t[]", [len(part) for part in extents])
        _check(
            lib.mv_lists_check(self.struct, len(block_starts), len(extent_blocks), sizes),
            "a segment's lists",
        )

    def fetch(self, blocks: Numbers, how: int) -> tuple[int, int]:
        """Prefetches blocks (ascending); the number of reads, and their bytes."""
        reads = ffi.new("uint64_t[2]")
        _check(
            lib.mv_fetch_lists(
                self.struct, _pointer("uint32_t[]", blocks), len(blocks), how, reads, reads + 1
            ),
            "prefetching lists",
        )
        return int(reads[0]), int(reads[1])


class SegmentView:
    """Addresses of a segment's parts, as the core reads them.

    With a codec and without `codes`, each record begins with its codes. checked: uint8
    (n_documents,), 0 for those whose records are not verified, else their marks by
    `check_documents`, as the caller goes on to write them. Arrays and buffers given here are kept
    alive. The caller keeps mapped pages valid (by a read transaction)."""

    def __init__(
        self,
        codec: Codec | None,
        code_bytes: int,
        dim: int,
        starts: Numbers,
        chunk_documents: Numbers,
        codes: Sequence[memoryview],
        records: Sequence[memoryview],
        checked: Bytes,
        lists: ListsView | None = None,
    ) -> None:
        n_chunks = len(chunk_documents) - 1
        self._codec = codec
        self._starts = starts
        self._chunk_documents = chunk_documents
        self._buffers = (*codes, *records)
        self._codes = ffi.new("uint8_t *[]", [_address(part) for part in codes] or 1)
        self._records = ffi.new("uint8_t *[]", [_address(part) for part in records])
        self.lists = lists
        self.struct = ffi.new("mv_segment *")
        self.struct.codec = codec.handle if codec is not None else ffi.NULL
        self.struct.dim = dim
        self.struct.n_documents = len(starts) - 1
        self.struct.n_chunks = n_chunks
        self.struct.code_bytes = code_bytes
        self.struct.inline_codes = codec is not None and not codes
        self.struct.starts = _pointer("uint32_t[]", starts)
        self.struct.chunk_documents = _pointer("uint32_t[]", chunk_documents)
        self.struct.codes = self._codes
        self.struct.records = self._records
        self.struct.lists = lists.struct if lists is not None else ffi.NULL
        self._checked = checked
        self.struct.checked = ffi.from_buffer("uint8_t[]", checked)
        codes_sizes = [len(part) for part in codes] or [0] * n_chunks
        records_sizes = [len(part) for part in records]
        if len(codes_sizes) != n_chunks or len(records_sizes) != n_chunks:
            _check(lib.MV_ERROR_CORRUPT, "a segment's directory")
        _check(
            lib.mv_segment_check(
                self.struct, ffi.new("size_t[]", codes_sizes), ffi.new("size_t[]", records_sizes)
            ),
            "a segment's directory",
        )

    def check_documents(self, documents: Numbers) -> Bytes:
        """The marks of verified documents, which are 1 or more. Raises CorruptionError unless
        their codes are below the codec's number of centroids or, without a codec, their float16
        rows have unit length."""
        marks = np.empty(len(documents), np.uint8)
        _check(
            lib.mv_documents_check(
                self.struct, _pointer("uint32_t[]", documents), len(documents),
                _pointer("uint8_t[]", marks),
            ),
            "centroid codes" if self._codec is not None else "float16 vectors of unit length",
        )  # fmt: skip
        return marks

    def document_points(self) -> Points:
        """The direction of the mean of each document's centroids, as points (n, padded)."""
        shape = (self.struct.n_documents, padded_dim(self.struct.dim))
        points = np.empty(shape, np.int8)
        _check(
            lib.mv_document_points(self.struct, _pointer("int8_t[]", points)), "points of documents"
        )
        return points


def _address(buffer: memoryview) -> Any:
    return ffi.cast("uint8_t *", ffi.from_buffer(buffer))


def check_codes(codec: Codec, code_bytes: int, codes: memoryview) -> None:
    """Raises CorruptionError unless every code is below the codec's number of centroids."""
    pointer = ffi.from_buffer("uint8_t[]", codes)
    _check(lib.mv_codes_check(codec.handle, pointer, len(codes), code_bytes), "centroid codes")


def check_rows(rows: memoryview, dim: int) -> None:
    """Raises CorruptionError unless these float16 rows have unit length."""
    pointer = ffi.from_buffer("uint8_t[]", rows)
    _check(lib.mv_units_check(pointer, len(rows), dim), "float16 vectors of unit length")


class SegmentList:
    """The segments of one state, laid out for the core."""

    def __init__(self, views: Sequence[SegmentView]) -> None:
        self.n = len(views)
        self._views = list(views)
        self.array = ffi.new("mv_segment[]", self.n)
        for i, view in enumerate(views):
            self.array[i] = view.struct[0]

    def fetch(self, places: NDArray[Any], how: int) -> tuple[int, int]:
        """Prefetches the records of documents (dtype PLACE, ascending); the number of reads, and
        their bytes."""
        reads = ffi.new("uint64_t[2]")
        _check(
            lib.mv_fetch_records(
                self.array, self.n, ffi.from_buffer("mv_place[]", places), len(places), how,
                reads, reads + 1,
            ),
            "prefetching records",
        )  # fmt: skip
        return int(reads[0]), int(reads[1])


class Bitmaps:
    """The allowed documents of each segment of a list: a mask (n,) of bool, or None for all."""

    def __init__(self, masks: Sequence[NDArray[np.bool_] | None]) -> None:
        self._keep = [
            None if mask is None else np.packbits(mask, bitorder="little") for mask in masks
        ]
        self.array = ffi.new(
            "uint8_t *[]",
            [
                ffi.NULL if bits is None else ffi.cast("uint8_t *", ffi.from_buffer(bits))
                for bits in self._keep
            ]
            or 1,
        )


class Query:
    """A query being answered, with scratch memory that is reused: one thread at a time."""

    def __init__(self) -> None:
        out = ffi.new("mv_query **")
        _check(lib.mv_query_new(out), "a query")
        self._handle = ffi.gc(out[0], lib.mv_query_free)
        self.m = 0

    def load(self, vectors: Floats) -> None:
        """Takes unit query vectors (m, dim); each codec rotates them with the seed of its own."""
        m, dim = vectors.shape
        self.m = m
        _check(
            lib.mv_query_load(self._handle, _pointer("float[]", vectors), m, dim),
            "loading a query",
        )

    @property
    def nbytes(self) -> int:
        """Scratch memory held, in bytes."""
        return int(lib.mv_query_bytes(self._handle))

    def search(
        self, segments: SegmentList, plan: SearchPlan, allowed: Bitmaps | None, given: NDArray[Any]
    ) -> Progress:
        """Begins a search, the only one under way with this query. allowed: None if no segment is
        found by lists or codes. given: the documents of those found by scores, dtype PLACE."""
        return Progress(self._handle, segments, plan, allowed, given)

    @property
    def counts(self) -> tuple[int, int]:
        """Since the query was loaded: the centroids that it was compared with, and the tokens of
        documents that were scored, in all modes."""
        counts = lib.mv_query_counts(self._handle)
        return int(counts.centroids), int(counts.tokens)

    def score(self, segments: SegmentList, places: NDArray[Any], mode: int) -> Floats:
        """MaxSim of the stored vectors of `places` (dtype PLACE). mode: SCORE_FAST or
        SCORE_PRECISE."""
        scores = np.empty(len(places), np.float32)
        _check(
            lib.mv_score(
                self._handle, segments.array, segments.n, ffi.from_buffer("mv_place[]", places),
                len(places), mode, _pointer("float[]", scores),
            ),
            "scoring",
        )  # fmt: skip
        return scores

    def explain(self, view: SegmentView, document: int, n_tokens: int) -> Floats:
        """Token scores (m, n_tokens) of one document."""
        matrix = np.empty((self.m, n_tokens), np.float32)
        _check(
            lib.mv_explain(
                self._handle, view.struct, document, n_tokens, _pointer("float[]", matrix)
            ),
            "explaining",
        )
        return matrix


class SearchPlan(NamedTuple):
    """What a search is to find, and how. The comments of ``mv_plan`` say more."""

    ways: bytes
    """For each segment how its documents are found: BY_LISTS, BY_CODES or BY_SCORES."""
    k: int
    nprobe: int
    n_candidates: int
    near_groups: int
    deviations: float
    error: float
    scores: int
    """Of documents found by scores: SCORE_FAST or SCORE_PRECISE."""
    refines: bool
    early_ranks: int
    most_faults: int


ANY_FAULTS = (1 << 64) - 1
"""Greatest value of `SearchPlan.most_faults`: verified bytes never leave the memory."""

_STAGES: dict[int, tuple[str, str]] = {
    lib.MV_STAGE_PROBE: ("probe", "probing"),
    lib.MV_STAGE_GATHER: ("gather", "inverted lists"),
    lib.MV_STAGE_INTERACT: ("interact", "the coarse stage"),
    lib.MV_STAGE_INTERACT_REST: ("interact", "the coarse stage"),
    lib.MV_STAGE_CODES: ("coarse", "the coarse stage"),
    lib.MV_STAGE_SCORES: ("score", "scoring"),
    lib.MV_STAGE_RANK: ("score", "scoring"),
    lib.MV_STAGE_RANK_REST: ("score", "scoring"),
    lib.MV_STAGE_REFINE: ("refine", "scoring"),
    lib.MV_STAGE_END: ("", "searching"),
}
"""Names of the stages, and what an error happened in."""


class Progress:
    """A search under way: `go_on` until EVENT_END. Used by one thread.

    Arrays are copies."""

    def __init__(
        self,
        query: Any,
        segments: SegmentList,
        plan: SearchPlan,
        allowed: Bitmaps | None,
        given: NDArray[Any],
    ) -> None:
        c_plan = ffi.new(
            "mv_plan *",
            (
                plan.k, plan.nprobe, plan.n_candidates, plan.near_groups, plan.deviations,
                plan.error, plan.scores, plan.refines, plan.early_ranks, plan.most_faults,
            ),
        )  # fmt: skip
        self._now = ffi.new("mv_progress *")
        self._keep = (segments, allowed)
        segments_of = (query, segments.array, segments.n, ffi.from_buffer("uint8_t[]", plan.ways))
        self._arguments = (*segments_of, ffi.NULL if allowed is None else allowed.array)
        places = ffi.from_buffer("mv_place[]", given)
        _check(
            lib.mv_search_begin(*segments_of, places, len(given), c_plan, self._now), "searching"
        )

    def go_on(self, *, one_stage: bool = False) -> int:
        """Goes on until the search ends or waits for the caller, or by one stage; the event."""
        now = self._now
        status = lib.mv_search_go_on(*self._arguments, one_stage, now)
        if status != lib.MV_OK:
            _check(status, _STAGES[now.stage][1])
        return int(now.event)

    @property
    def stage(self) -> str:
        """The next stage, or the one that waits."""
        return _STAGES[self._now.stage][0]

    @property
    def segment(self) -> int:
        """The lists about to be read are those of the segments with the codec of this one."""
        return int(self._now.segment)

    @property
    def probes(self) -> NDArray[Any]:
        """The lists about to be read, dtype PROBE."""
        return _copied_array(self._now.probes, self._now.n_probes, PROBE)

    @property
    def places(self) -> NDArray[Any]:
        """The documents that an event is about, dtype PLACE."""
        return _copied_array(self._now.places, self._now.n_places, PLACE)

    @property
    def scores(self) -> Floats:
        """At the end, those of `places`."""
        return _copied_array(self._now.scores, self._now.n_places, np.dtype(np.float32))

    def found(self) -> tuple[list[tuple[int, int]], list[float]]:
        """At the end: the segments and slots of `places`, and `scores`."""
        now, n = self._now, self._now.n_places
        if n == 0:
            return [], []
        numbers = ffi.unpack(ffi.cast("uint32_t *", now.places), 2 * n)
        return list(zip(numbers[::2], numbers[1::2], strict=True)), ffi.unpack(now.scores, n)

    @property
    def postings(self) -> int:
        """Read so far."""
        return int(self._now.postings)

    @property
    def candidates(self) -> int:
        """At the end: the documents that lists and codes have found."""
        return int(self._now.candidates)

    @property
    def documents(self) -> int:
        """Scored so far."""
        return int(self._now.documents)

    @property
    def records(self) -> int:
        """That stages have asked for so far, in memory or not."""
        return int(self._now.records)


def _copied_array(pointer: Any, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if n == 0:
        return np.empty(0, dtype)
    array: NDArray[Any] = np.frombuffer(ffi.buffer(pointer, n * dtype.itemsize), dtype).copy()
    return array


def major_faults() -> int:
    """Page faults of this thread that had to wait for a read; 0 on Windows. Where the system does
    not count by threads, those of the process."""
    return int(lib.mv_major_faults())


def tokenise(text: bytes) -> list[tuple[bytes, int, int, int]]:
    """The tokens of a folded text in UTF-8: term, kind (TOKEN_*), and the range of bytes that it
    stands at, which is longer than a term that was cut to MAX_TERM bytes."""
    ranges = np.empty(len(text) // 3 + 8, TOKEN)
    count = ffi.new("size_t *")
    while True:
        _check(
            lib.mv_tokens(
                ffi.from_buffer("uint8_t[]", text), len(text),
                ffi.from_buffer("mv_token_range[]", ranges), len(ranges), count,
            ),
            "tokenising",
        )  # fmt: skip
        if count[0] <= len(ranges):
            break
        ranges = np.empty(count[0], TOKEN)
    lower = text.lower()  # of ASCII alone, bytes as they are
    return [
        (lower[first : first + size], kind, first, last)
        for first, last, size, kind in ranges[: count[0]].tolist()
    ]


# ---- term indexes ----


class TermNames:
    """Terms laid out for the core, each of 1 to MAX_TERM bytes."""

    def __init__(self, terms: Sequence[bytes]) -> None:
        self.n = len(terms)
        sizes = np.fromiter(map(len, terms), np.uint32, self.n)
        if self.n and not 1 <= int(sizes.min()) <= int(sizes.max()) <= MAX_TERM:
            raise ValueError(f"terms of {sizes.min()} to {sizes.max()} bytes")
        self._bytes = b"".join(terms)
        self._starts = np.zeros(self.n + 1, np.uint32)
        np.cumsum(sizes, out=self._starts[1:])
        self.struct = ffi.new("mv_term_names *")
        self.struct.bytes = ffi.from_buffer("uint8_t[]", self._bytes)
        self.struct.starts = _pointer("uint32_t[]", self._starts)
        self.struct.n = self.n


@dataclass(frozen=True)
class TermBlocks:
    """Blocks of a new term index: their bytes, one after the other, the bytes of each (uint32), and
    their heads."""

    body: bytes
    sizes: Numbers
    heads: list[bytes]


def _copied(blocks: Any) -> TermBlocks:
    """The blocks, copied out of the core."""
    n = blocks.n
    sizes = np.frombuffer(ffi.buffer(blocks.block_sizes, 4 * n), np.uint32).copy()
    names = bytes(ffi.buffer(blocks.heads, blocks.heads_size))
    heads, at = [], 0
    for size in bytes(ffi.buffer(blocks.head_sizes, n)):
        heads.append(names[at : at + size])
        at += size
    return TermBlocks(bytes(ffi.buffer(blocks.bytes, blocks.size)), sizes, heads)


class TermBuilder:
    """Rows of a new term index, in memory: texts, or weights of terms. Used by one thread: rows
    first, then `run` once."""

    def __init__(self, *, weights: bool = False) -> None:
        out = ffi.new("mv_term_builder **")
        _check(lib.mv_term_builder_new(not weights, out), "a term index")
        self._handle = ffi.gc(out[0], lib.mv_term_builder_free)

    def add_texts(self, texts: Sequence[bytes | None]) -> None:
        """Appends texts as the next rows: folded UTF-8, None for a document without a text."""
        keep = [ffi.NULL if text is None else ffi.from_buffer("uint8_t[]", text) for text in texts]
        sizes = ffi.new("size_t[]", [len(text or b"") for text in texts])
        pointers = ffi.new("uint8_t *[]", keep)
        done = ffi.new("size_t *")
        _check(
            lib.mv_term_builder_texts(self._handle, pointers, sizes, len(texts), done),
            "indexing texts",
        )

    def add_weights(self, terms: Sequence[bytes], weights: Floats) -> None:
        """Appends a row: distinct terms, and the weight of each, above 0 and at most
        GREATEST_WEIGHT."""
        if len(terms) != len(weights):
            raise ValueError(f"{len(weights)} weights for {len(terms)} terms")
        names = TermNames(terms)
        _check(
            lib.mv_term_builder_weights(self._handle, names.struct, _pointer("float[]", weights)),
            "indexing weights",
        )

    @property
    def n_rows(self) -> int:
        """Rows added."""
        return int(lib.mv_term_builder_rows(self._handle))

    @property
    def n_terms(self) -> int:
        """Distinct terms."""
        return int(lib.mv_term_builder_terms(self._handle))

    @property
    def n_bytes(self) -> int:
        """Bytes held, and needed by `run` besides."""
        return int(lib.mv_term_builder_bytes(self._handle))

    def terms(self, first: int, last: int) -> list[bytes]:
        """The terms with the numbers first .. last - 1, in order of arrival."""
        size = ffi.new("size_t *")
        result = []
        for number in range(first, last):
            name = lib.mv_term_builder_term(self._handle, number, size)
            result.append(bytes(ffi.buffer(name, size[0])))
        return result

    def rename(self, first: int, terms: Sequence[bytes]) -> None:
        """Files the postings of the terms from number `first` on under other terms."""
        names = TermNames(terms)
        _check(lib.mv_term_builder_rename(self._handle, first, names.struct), "renaming terms")

    def lengths(self) -> NDArray[np.uint16]:
        """Tokens of each row, at most 65535."""
        lengths = np.empty(self.n_rows, np.uint16)
        lib.mv_term_builder_lengths(self._handle, _pointer("uint16_t[]", lengths))
        return lengths

    def run(self, least: int) -> Iterator[TermBlocks]:
        """The blocks of the index, about `least` bytes at a time."""
        blocks = ffi.new("mv_term_blocks *")
        while True:
            _check(lib.mv_term_builder_run(self._handle, least, blocks), "a term index")
            if blocks.n == 0:
                return
            yield _copied(blocks)


class TermView:
    """Addresses of a term index, as the core reads them. Kept alive as those of a `SegmentView`
    are.

    lengths: uint16 (n_rows,), None for an index of weights. block_starts: uint32 (blocks + 1,),
    bytes. extent_blocks: uint32 (extents + 1,). head_starts: uint32 (blocks + 1,), bytes of
    `heads`."""

    def __init__(
        self,
        n_rows: int,
        lengths: NDArray[np.uint16] | None,
        block_starts: Numbers,
        extent_blocks: Numbers,
        head_starts: Numbers,
        heads: bytes,
        extents: Sequence[memoryview],
    ) -> None:
        self.n_rows = n_rows
        self.n_blocks = len(block_starts) - 1
        self._keep = (lengths, block_starts, extent_blocks, head_starts, heads, tuple(extents))
        self._extents = ffi.new("uint8_t *[]", [_address(part) for part in extents] or 1)
        self.struct = ffi.new("mv_terms *")
        self.struct.n_rows = n_rows
        self.struct.n_blocks = len(block_starts) - 1
        self.struct.n_extents = len(extents)
        self.struct.lengths = ffi.NULL if lengths is None else _pointer("uint16_t[]", lengths)
        self.struct.block_starts = _pointer("uint32_t[]", block_starts)
        self.struct.extent_blocks = _pointer("uint32_t[]", extent_blocks)
        self.struct.head_starts = _pointer("uint32_t[]", head_starts)
        self.struct.heads = ffi.from_buffer("uint8_t[]", heads)
        self.struct.extents = self._extents
        extent_sizes = ffi.new("size_t[]", [len(part) for part in extents] or 1)
        sizes = ffi.new("mv_terms_sizes *")
        sizes.lengths = 0 if lengths is None else len(lengths)
        sizes.block_starts, sizes.extent_blocks = len(block_starts), len(extent_blocks)
        sizes.head_starts, sizes.heads = len(head_starts), len(heads)
        sizes.extents = extent_sizes
        _check(lib.mv_terms_check(self.struct, sizes), "a term index")

    def blocks(self, names: TermNames) -> Numbers:
        """For each term the block in which it would be; the number of blocks where none can have
        it."""
        blocks = np.empty(names.n, np.uint32)
        lib.mv_terms_blocks(self.struct, names.struct, _pointer("uint32_t[]", blocks))
        return blocks

    def prefix_blocks(self, prefix: bytes) -> range:
        """The blocks that may have terms with a prefix."""
        first, last = ffi.new("uint32_t *"), ffi.new("uint32_t *")
        pointer = ffi.from_buffer("uint8_t[]", prefix)
        lib.mv_terms_range(self.struct, pointer, len(prefix), first, last)
        return range(first[0], last[0])

    def frequencies(self, names: TermNames) -> Numbers:
        """Number of rows that have each term."""
        counts = np.empty(names.n, np.uint32)
        _check(
            lib.mv_terms_frequencies(self.struct, names.struct, _pointer("uint32_t[]", counts)),
            "a term index",
        )
        return counts

    def terms(self, block: int) -> list[tuple[bytes, int]]:
        """The terms of a block, ascending, with the number of rows that have each."""
        names = np.empty((TERMS_BLOCK, MAX_TERM), np.uint8)
        sizes = np.empty(TERMS_BLOCK, np.uint8)
        counts = np.empty(TERMS_BLOCK, np.uint32)
        n = ffi.new("size_t *")
        _check(
            lib.mv_terms_list(
                self.struct, block, _pointer("uint8_t[]", names.reshape(-1)),
                _pointer("uint8_t[]", sizes), _pointer("uint32_t[]", counts), n,
            ),
            "a term index",
        )  # fmt: skip
        return [
            (names[i, :size].tobytes(), int(counts[i]))
            for i, size in enumerate(sizes[: n[0]].tolist())
        ]

    def check_block(self, block: int) -> None:
        """Raises CorruptionError unless everything in a block fits together."""
        _check(lib.mv_terms_check_block(self.struct, block), f"block {block} of a term index")

    def containing(self, names: TermNames) -> NDArray[np.bool_]:
        """Whether each row has all the terms."""
        has = np.empty(self.n_rows, np.bool_)
        _check(
            lib.mv_terms_containing(
                self.struct, names.struct, _pointer("uint8_t[]", has.view(np.uint8))
            ),
            "a term index",
        )
        return has


def stored_weight(weight: float) -> float:
    """The weight that stands for a weight in an index: within 1/256 of it, or the least of all."""
    return float(lib.mv_terms_stored_weight(weight))


def merge_terms(
    views: Sequence[TermView],
    maps: Sequence[Numbers],
    n_rows: int,
    lengths: NDArray[np.uint16] | None,
    least: int,
) -> Iterator[TermBlocks]:
    """The blocks of one index made of several, about `least` bytes at a time.

    maps: for each row of an index its row in the new one, or NO_ROW; rows ascend in a map and from
    one map to the next. lengths: uint16 (n_rows,) of the new index."""
    if any(len(map_) != view.n_rows for view, map_ in zip(views, maps, strict=True)):
        raise ValueError("a map of other length than its index")
    structs = ffi.new("mv_terms *[]", [view.struct for view in views])
    rows = ffi.new("uint32_t *[]", [_pointer("uint32_t[]", map_) for map_ in maps])
    pointer = ffi.NULL if lengths is None else _pointer("uint16_t[]", lengths)
    out = ffi.new("mv_term_merge **")
    what = "merging term indexes"
    _check(lib.mv_term_merge_new(structs, rows, len(views), pointer, n_rows, out), what)
    handle = ffi.gc(out[0], lib.mv_term_merge_free)
    blocks = ffi.new("mv_term_blocks *")
    while True:
        _check(lib.mv_term_merge_step(handle, least, blocks), what)
        if blocks.n == 0:
            return
        yield _copied(blocks)


class TermList:
    """The term indexes of one state, laid out for the core."""

    def __init__(self, views: Sequence[TermView]) -> None:
        self.n = len(views)
        self.views = list(views)
        self.array = ffi.new("mv_terms *[]", [view.struct for view in views] or 1)


class TermQuery:
    """Terms with weights, each term once, and the parameters of BM25. Shared by threads."""

    def __init__(
        self, names: TermNames, weights: Floats, *, k1: float, b: float, average: float
    ) -> None:
        """weights: float32 (names.n,), above 0. average: mean length of rows, above 0."""
        if len(weights) != names.n:
            raise ValueError(f"{len(weights)} weights for {names.n} terms")
        self.names = names
        self._weights = weights
        self._struct = ffi.new("mv_term_query *")
        self._struct.terms = names.struct[0]
        self._struct.weights = _pointer("float[]", weights)
        self._struct.k1, self._struct.b, self._struct.average = k1, b, average

    def best(self, terms: TermList, allowed: Bitmaps, k: int) -> tuple[NDArray[Any], Floats]:
        """The best k rows (dtype PLACE) that have a term, best first, and their scores. `allowed`:
        masks by row."""
        places = np.empty(k, PLACE)
        scores = np.empty(k, np.float32)
        count = ffi.new("size_t *")
        _check(
            lib.mv_terms_best(
                terms.array, terms.n, self._struct, allowed.array, k,
                ffi.from_buffer("mv_place[]", places), _pointer("float[]", scores), count,
            ),
            "a term index",
        )  # fmt: skip
        return places[: count[0]], scores[: count[0]]

    def score(self, terms: TermList, places: NDArray[Any]) -> Floats:
        """The scores of rows (dtype PLACE), in any order."""
        scores = np.empty(len(places), np.float32)
        _check(
            lib.mv_terms_score(
                terms.array, terms.n, self._struct, ffi.from_buffer("mv_place[]", places),
                len(places), _pointer("float[]", scores),
            ),
            "a term index",
        )  # fmt: skip
        return scores


def phrase_counts(words: TermNames, texts: Sequence[bytes]) -> Numbers:
    """How often each folded text has the words, at least one, one behind the other."""
    counts = np.empty(len(texts), np.uint32)
    keep = [ffi.from_buffer("uint8_t[]", text) for text in texts]
    pointers = ffi.new("uint8_t *[]", keep or 1)
    sizes = ffi.new("size_t[]", [len(text) for text in texts] or 1)
    _check(
        lib.mv_phrase_counts(
            words.struct, pointers, sizes, len(texts), _pointer("uint32_t[]", counts)
        ),
        "looking for a phrase",
    )
    return counts
