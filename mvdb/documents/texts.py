"""Texts and metadata of documents, in compressed blocks.

A block holds consecutive documents of a segment, about `BLOCK_BYTES` before compression: small
enough that one hit's text is cheap to unpack, large enough for zstd to find repetition across
documents. A larger document has a block to itself, so that reading one document never unpacks much
more than that document.

| bytes | block of n documents |
|---|---|
| 4 | size of the raw bytes, u32 |
| rest | zstd frame of the raw bytes |

| bytes | raw bytes |
|---|---|
| 8 n | per document: length of its text u32, length of its metadata u32; 0xFFFFFFFF: none |
| rest | per document: text (UTF-8), metadata (JSON) |
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import overload

import numpy as np
import zstandard
from numpy.typing import NDArray

from mvdb.documents import metadata
from mvdb.errors import CorruptionError
from mvdb.storage.format import Record

BLOCK_BYTES = 32 * 1024
MAX_BLOCK_BYTES = 1 << 30
_AT_ONCE = 1 << 20
"""Raw bytes above which a block is unpacked as a stream."""
_PIECE = 1 << 17
"""Bytes of a text that are checked at a time; they fit the processor's cache."""
_WINDOW = 1 << 23
"""Greatest window of a frame, and so the memory of unpacking it as a stream. Frames written here
have a quarter of it."""
_NONE = 0xFFFFFFFF
_SIZE = Record("I")
_LEVEL = 3

Stored = tuple[bytes | None, bytes | None]
"""Text (UTF-8) and metadata (JSON) of a document; None for a missing one."""


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
    return _SIZE.pack(len(raw)) + frame


def unpack(block: memoryview, n_documents: int, where: str) -> Sequence[Stored]:
    """The documents of a block; CorruptionError when it does not hold n_documents of them."""
    with _opened(block, n_documents, where) as raw:
        if n_documents > 1:
            return _Documents(raw)
        # It may be large, and a stream.
        text, stored = (None if size == _NONE else raw.take(size) for size in raw.lengths.tolist())
        return [(text, stored)]


def raw_bytes(block: memoryview, where: str) -> int:
    """Bytes that a block states to unpack to."""
    return int(_SIZE.unpack_head(block, where)[0][0])


def verify(block: memoryview, n_documents: int, where: str, spend: Callable[[int], None]) -> int:
    """Checks a block: sizes, that texts are UTF-8, and metadata; the number of texts. Memory does
    not grow with the texts; `spend` gets the cost of metadata before it is parsed."""
    with _opened(block, n_documents, where) as raw:
        for at, size in enumerate(raw.lengths.tolist()):
            if size == _NONE:
                continue
            if at % 2 == 0:
                _check_text(raw, size, where)
            else:
                stored = raw.take(size)
                spend(metadata.cost(stored))
                metadata.loads(stored)
        return int(np.count_nonzero(raw.lengths[::2] != _NONE))


def _check_text(raw: _Raw, size: int, where: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, size, _PIECE):
            decoder.decode(raw.take(min(_PIECE, size - at)), final=at + _PIECE >= size)
    except UnicodeDecodeError as error:
        raise CorruptionError(f"{where}: a text is not UTF-8 ({error.reason})") from None


class _Raw:
    """The raw bytes of a block, taken from the front."""

    def __init__(self, block: memoryview, n_documents: int, where: str) -> None:
        (size,), frame = _SIZE.unpack_head(block, where)
        if size > MAX_BLOCK_BYTES or zstandard.frame_content_size(frame) != size:
            raise CorruptionError(f"{where}: the compressed block states a wrong size")
        table = 8 * n_documents
        if size < table or (size - table > BLOCK_BYTES and n_documents != 1):
            raise CorruptionError(f"{where}: a block of {size} bytes for {n_documents} documents")
        self._where = where
        self._data = b""
        self._at = 0
        self._stream: zstandard.ZstdDecompressionReader | None = None
        if size <= _AT_ONCE:
            self._data = zstandard.ZstdDecompressor().decompress(frame)
        else:
            unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
            self._stream = unpacker.stream_reader(frame)
        self.lengths: NDArray[np.uint32] = np.frombuffer(self.take(table), dtype="<u4")
        """Of each document's text and metadata."""
        self.present = np.where(self.lengths == _NONE, 0, self.lengths).astype(np.int64)
        """The same in bytes: 0 for none."""
        if table + int(self.present.sum()) != size:
            raise CorruptionError(f"{where}: lengths do not add up to the block's size")
        if int(self.present[1::2].max(initial=0)) > metadata.MAX_BYTES:
            raise CorruptionError(f"{where}: metadata of more than {metadata.MAX_BYTES} bytes")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if self._stream is None:
            taken = self._data[self._at : self._at + size]
            self._at += size
        else:
            taken = self._stream.read(size)
        if len(taken) != size:
            raise CorruptionError(f"{self._where}: the compressed block ends early")
        return taken


class _Documents(Sequence[Stored]):
    """The documents of a block. Each is cut out when it is asked for: one document of a block of
    hundreds costs no more than itself."""

    def __init__(self, raw: _Raw) -> None:
        self._lengths = raw.lengths
        self._ends = raw.present.cumsum()
        self._bytes = raw.take(int(raw.present.sum()))

    def __len__(self) -> int:
        return len(self._lengths) // 2

    @overload
    def __getitem__(self, at: int) -> Stored: ...
    @overload
    def __getitem__(self, at: slice) -> list[Stored]: ...
    def __getitem__(self, at: int | slice) -> Stored | list[Stored]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(f"document {at} of {len(self)}")
        return self._part(2 * at), self._part(2 * at + 1)

    def _part(self, at: int) -> bytes | None:
        length = int(self._lengths[at])
        end = int(self._ends[at])
        return None if length == _NONE else self._bytes[end - length : end]


@contextmanager
def _opened(block: memoryview, n_documents: int, where: str) -> Iterator[_Raw]:
    try:
        yield _Raw(block, n_documents, where)
    except zstandard.ZstdError as error:
        raise CorruptionError(f"{where}: the compressed block does not unpack ({error})") from None
