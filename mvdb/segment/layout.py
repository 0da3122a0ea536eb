"""Layout of a segment in the file: keys of its parts, and the grammar of its directory.

A segment is an immutable set of documents. Its parts are values of the table `segments`, each in an
envelope, under (segment, part, index).

Ids, texts, words, learned weights and metadata are in the order of the document numbers: a
document's position there is its *row*. Records and posting lists are in an order of their own, with
similar documents side by side (clustering.py): a document's position there is its *slot*. Slots are
cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from mvdb.storage.format import Kind, Record, pack_arrays, unpack_arrays
from mvdb.storage.invariants import ascends, is_cut, require

TABLE = "segments"

Row = NewType("Row", int)
"""A document of a segment in the order of insertion."""
Slot = NewType("Slot", int)
"""A document of a segment in the order of storage."""


class Part(IntEnum):
    """Parts of a segment; the numbers are in keys on disk: frozen."""

    DIRECTORY = 1  # index 0: see pack_directory
    CODES = 2  # per chunk: centroid codes, document-major; none when they are in the records
    RECORDS = 3  # per chunk: records, document-major
    IDS = 4  # index 0: external ids
    DOCUMENTS = 5  # per block: texts and metadata
    FIELDS = 6  # column index of the metadata; 0 is its own directory
    LIST_DIRECTORY = 7  # index 0: offsets and checksums of the blocks of lists
    LISTS = 8  # per extent: blocks of inverted lists
    ORDER = 9  # index 0: document at each slot; none when slots are in the documents' order
    WORD_DIRECTORY = 10  # index 0: counts, dictionary heads, checksums of the term index of words
    WORDS = 11  # per extent: blocks of its dictionary and of its postings
    WEIGHT_DIRECTORY = 12  # index 0: the same of the term index of learned weights
    WEIGHTS = 13  # per extent: blocks of it


KINDS = {part: Kind[part.name] for part in Part}


def segment_prefix(segment: int) -> bytes:
    """Prefix of the keys of a segment's parts; its key in `tombstones`."""
    return segment.to_bytes(8, "big")


def part_key(segment: int, part: Part, index: int = 0) -> bytes:
    """Key of one value."""
    return segment_prefix(segment) + bytes((part,)) + index.to_bytes(4, "big")


FLOAT16 = 0
"""Codebook number of segments with float16 vectors."""


@dataclass(frozen=True)
class SegmentInfo:
    """A segment as the manifest lists it. Segments are in order of document numbers, and their
    ranges first..last do not overlap."""

    id: int
    generation: int
    n_documents: int
    n_deleted: int
    n_tokens: int
    deleted_tokens: int
    residual_sum: float
    first: int
    last: int

    @property
    def live_tokens(self) -> int:
        return self.n_tokens - self.deleted_tokens

    @property
    def live_documents(self) -> int:
        return self.n_documents - self.n_deleted


@dataclass(frozen=True)
class Directory:
    """Offsets and checksums of a segment of n documents, c chunks and b document blocks.

    numbers: uint64 (n,), ascending document numbers, by row. checksums: uint64 (n,), XXH3-64 of
    the record in each slot. starts: uint32 (n + 1,), first token of each slot. chunks: uint32
    (c + 1,), first slot of each chunk. blocks: uint32 (b + 1,), first row of each block; b = 0
    when no document has a text or metadata. n_fields: values of the part FIELDS."""

    numbers: NDArray[np.uint64]
    checksums: NDArray[np.uint64]
    starts: NDArray[np.uint32]
    chunks: NDArray[np.uint32]
    blocks: NDArray[np.uint32]
    n_fields: int

    def n_tokens(self, slot: Slot) -> int:
        """Tokens of the document in a slot."""
        return int(self.starts[slot + 1]) - int(self.starts[slot])


def check_directory(directory: Directory, where: str) -> None:
    """CorruptionError unless the arrays of a directory agree with each other."""
    numbers, n = directory.numbers, len(directory.numbers)
    require(n > 0 and ascends(numbers), where, "document numbers are not ascending")
    starts, chunks, blocks = directory.starts, directory.chunks, directory.blocks
    require(is_cut(starts, int(starts[-1])), where, "first tokens are not ascending")
    require(len(chunks) > 1 and is_cut(chunks, n), where, "chunks are not in order")
    in_order = is_cut(blocks, n if len(blocks) > 1 else 0)
    require(in_order, where, "document blocks are not in order")


_COUNTS = Record("IIII")  # on disk: frozen


def pack_directory(directory: Directory) -> bytes:
    """The directory's bytes, of n documents, c chunks and b document blocks:

    n u32 · c u32 · b u32 · n_fields u32 · numbers u64 (n) · checksums u64 (n) ·
    starts u32 (n + 1) · chunks u32 (c + 1) · blocks u32 (b + 1)
    """
    counts = _COUNTS.pack(
        len(directory.numbers),
        len(directory.chunks) - 1,
        len(directory.blocks) - 1,
        directory.n_fields,
    )
    return counts + pack_arrays(
        ("<u8", directory.numbers),
        ("<u8", directory.checksums),
        ("<u4", directory.starts),
        ("<u4", directory.chunks),
        ("<u4", directory.blocks),
    )


def unpack_directory(body: memoryview, where: str) -> Directory:
    """The directory in `body`; CorruptionError when sizes or orders do not hold."""
    (n, c, b, n_fields), rest = _COUNTS.unpack_head(body, where)
    types = (("<u8", n), ("<u8", n), ("<u4", n + 1), ("<u4", c + 1), ("<u4", b + 1))
    numbers, checksums, starts, chunks, blocks = unpack_arrays(rest, where, *types)
    directory = Directory(numbers, checksums, starts, chunks, blocks, n_fields)
    check_directory(directory, where)
    return directory
