"""A reader of posting lists, written from docs/format.md alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

LISTS_OF_BLOCK = 16
DOCUMENTS_OF_RUN = 64


def read(
    extents: Sequence[bytes], starts: Sequence[int], extent_blocks: Sequence[int], n_lists: int
) -> list[list[int]]:
    """The documents in each list. starts, extent_blocks: as in the list directory."""
    result: list[list[int]] = []
    for extent, (first, end) in zip(extents, pairwise(extent_blocks), strict=True):
        for block in range(first, end):
            at, stop = starts[block] - starts[first], starts[block + 1] - starts[first]
            n = min(LISTS_OF_BLOCK, n_lists - LISTS_OF_BLOCK * block)
            result += _block(extent[at:stop], n)
    return result


def _block(block: bytes, n: int) -> Iterator[list[int]]:
    at, heads = 0, []
    for _ in range(2 * n):
        value, at = _varint(block, at)
        heads.append(value)
    for count, size in zip(heads[::2], heads[1::2], strict=True):
        yield _list(block[at : at + size], count)
        at += size
    assert at == len(block)


def _list(body: bytes, count: int) -> list[int]:
    documents: list[int] = []
    at, last = 0, -1
    while len(documents) < count:
        n, width = min(DOCUMENTS_OF_RUN, count - len(documents)), body[at]
        size = -(-n * width // 8)
        gaps = int.from_bytes(body[at + 1 : at + 1 + size], "little")
        for number in range(n):
            last += 1 + (gaps >> number * width & (1 << width) - 1)
            documents.append(last)
        at += 1 + size
    assert at == len(body)
    return documents


def _varint(block: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = block[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
