"""Texts and metadata of documents, in compressed blocks.

A block holds consecutive documents of a segment, about `BLOCK_BYTES` before compression: small
enough that one hit's text costs little, large enough for zstd to find what documents share.

Block: raw size u32, then a zstd frame of: for each document a text length u32 (0xFFFFFFFF: no
text), a metadata length u32 (the same), then for each document its text (UTF-8) and metadata
(JSON).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from mvdb.errors import CorruptionError

BLOCK_BYTES = 32 * 1024
MAX_BLOCK_BYTES = 1 << 30
_UNCHECKED_BYTES = 1 << 20
_NONE = 0xFFFFFFFF
_LEVEL = 3

Stored = tuple[bytes | None, bytes | None]
"""Text (UTF-8) and metadata (JSON) of a document; None where there is none."""


def pack(documents: Sequence[Stored]) -> bytes:
    """One block of the given documents."""
    lengths = np.array(
        [_NONE if part is None else len(part) for document in documents for part in document],
        dtype="<u4",
    )
    raw = lengths.tobytes() + b"".join(
        part for document in documents for part in document if part is not None
    )
    if len(raw) > MAX_BLOCK_BYTES:
        raise ValueError(f"texts of {len(raw)} bytes in one document block; at most 1 GiB fits")
    frame = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(raw)
    return struct.pack("<I", len(raw)) + frame


def unpack(block: memoryview, n_documents: int, where: str) -> list[Stored]:
    """The documents of a block; CorruptionError when it does not hold n_documents of them."""
    table = 8 * n_documents
    raw = memoryview(_decompress(block, table, where))
    lengths = np.frombuffer(raw[:table], dtype="<u4")
    present = _present(lengths)
    ends = table + np.cumsum(present)
    parts = [
        None if lengths[i] == _NONE else bytes(raw[ends[i] - present[i] : ends[i]])
        for i in range(2 * n_documents)
    ]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _present(lengths: NDArray[np.uint32]) -> NDArray[np.int64]:
    return np.where(lengths == _NONE, 0, lengths).astype(np.int64)


def _decompress(block: memoryview, table: int, where: str) -> bytes:
    """The raw block, whose first `table` bytes are lengths that add up to it.

    The frame's own size is what zstd would allocate: before that it must be the stated one, and for
    a large one the lengths must be plausible, so that a small frame cannot ask for much memory."""
    try:
        (size,) = struct.unpack_from("<I", block)
        frame = block[4:]
        if size > MAX_BLOCK_BYTES or zstandard.frame_content_size(frame) != size:
            raise CorruptionError(f"{where}: the compressed block states a wrong size")
        if size < table:
            raise CorruptionError(f"{where}: a block too short for its documents")
        if size > _UNCHECKED_BYTES:
            _check_lengths(_head(frame, table), size, where)
        raw = zstandard.ZstdDecompressor().decompress(frame)
    except (struct.error, zstandard.ZstdError) as error:
        raise CorruptionError(f"{where}: the compressed block does not unpack ({error})") from None
    _check_lengths(raw[:table], size, where)
    return raw


def _head(frame: memoryview, size: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(frame) as reader:
        return reader.read(size)


def _check_lengths(table: bytes, size: int, where: str) -> None:
    lengths = np.frombuffer(table, dtype="<u4")
    if len(table) + int(_present(lengths).sum()) != size:
        raise CorruptionError(f"{where}: lengths do not add up to the block's size")
