"""Posting lists of a segment: for each centroid the slots of the documents near it.

The core packs the lists into blocks (csrc/postings/lists.h has their grammar). Here the blocks are
laid out in the file, so that a query reads and verifies only the blocks it needs. l lists are in
b = ceil(l / 16) blocks, the blocks in e extents:

    part LISTS, index i     blocks of extent i, one after the other; LISTS_SLACK zero bytes
    part LIST_DIRECTORY     u32 l; u32 b; u32 e
                            b * u64      XXH3-64 of each block
                            (b + 1) * u32  offset of each block, extents laid end to end without
                                         their slack; the last one is the end
                            (e + 1) * u32  first block of each extent; the last one is b
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mvdb import core
from mvdb.storage.checked_blocks import BlockCutter, CheckedBlocks, Extents
from mvdb.storage.format import Record, pack_arrays, unpack_arrays
from mvdb.storage.invariants import require

_POSTING_BYTES = 10
"""Peak bytes per posting of a pass: 4 collected (uint32), 4 packed at most, and 2 for headers of
lists and runs and the open extent."""
_COUNTS = Record("III")  # lists, blocks, extents; on disk: frozen


class Builder:
    """Makes the posting lists of a segment, in about `memory` bytes.

    Used by one thread: first `extents`, then `directory`. codes: those of the centroids nearest to
    the tokens, uint8, `code_bytes` per token, by slot. starts: uint32 (slots + 1,), first token of
    each slot."""

    def __init__(
        self,
        codes: core.Bytes,
        code_bytes: int,
        starts: core.Numbers,
        n_lists: int,
        *,
        memory: int,
        extent_bytes: int,
    ) -> None:
        self._tokens = (codes, code_bytes, starts)
        self._n_lists = n_lists
        self._memory = memory
        self._cutter = BlockCutter(extent_bytes, core.LISTS_SLACK)

    def extents(self) -> Iterator[bytes]:
        """The extents, one after the other."""
        return self._cutter.extents(self._blocks())

    def _blocks(self) -> Iterator[memoryview]:
        counts = core.count_lists(*self._tokens, self._n_lists)
        for first, last in _passes(counts, self._memory // _POSTING_BYTES):
            packed, sizes = core.pack_lists(*self._tokens, counts, first, last)
            at = 0
            for size in sizes.tolist():
                yield packed.data[at : at + size]
                at += size

    def directory(self) -> bytes:
        """The list directory. REQUIRES: all extents have been made."""
        cutter = self._cutter
        n_blocks, n_extents = len(cutter.checksums), len(cutter.extent_blocks) - 1
        return _COUNTS.pack(self._n_lists, n_blocks, n_extents) + pack_arrays(
            ("<u8", cutter.checksums), ("<u4", cutter.starts), ("<u4", cutter.extent_blocks)
        )


def _passes(counts: core.Numbers, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of lists in whole blocks, each of one block or of at most `most` postings."""
    firsts = range(0, len(counts), core.LISTS_BLOCK)
    first, total = 0, 0
    for at, size in zip(firsts, np.add.reduceat(counts, firsts, dtype=np.int64), strict=True):
        if total and total + size > most:
            yield first, at
            first, total = at, 0
        total += size
    yield first, len(counts)


class Lists:
    """The posting lists of one segment, open for reading. Lives as long as its segment.
    Thread-safe: at worst two threads verify the same block."""

    def __init__(
        self, directory: memoryview, find_extents: Callable[[int], Extents], where: str
    ) -> None:
        (n_lists, n_blocks, n_extents), rest = _COUNTS.unpack_head(directory, where)
        types = (("<u8", n_blocks), ("<u4", n_blocks + 1), ("<u4", n_extents + 1))
        arrays = unpack_arrays(rest, where, *types)
        fits = n_lists > 0 and n_blocks == -(-n_lists // core.LISTS_BLOCK)
        require(fits, where, f"{n_blocks} blocks for {n_lists} lists")
        checksums, starts, extent_blocks = arrays
        require(n_extents > 0, where, "no extents")
        self._extents = find_extents(n_extents)
        self._blocks = CheckedBlocks(checksums, starts, extent_blocks, self._extents, where)
        self.view = core.ListsView(
            n_lists, starts, extent_blocks, self._extents.bodies, self._blocks.marks
        )

    @property
    def n_extents(self) -> int:
        """Number of extents."""
        return len(self._extents.bodies)

    def blocks(self, lists: core.Numbers) -> core.Numbers:
        """The blocks of these lists, each once, ascending."""
        blocks: core.Numbers = np.unique(lists[lists < self.view.n_lists] // core.LISTS_BLOCK)
        return blocks

    def unread(self, blocks: core.Numbers) -> core.Numbers:
        """Those of the blocks that have not been verified since opening."""
        return self._blocks.unread(blocks)

    def check(self, blocks: core.Numbers) -> None:
        """Verifies the unread ones of these blocks; CorruptionError when one is damaged."""
        self._blocks.check(blocks)

    def check_all(self) -> None:
        """Verifies every block."""
        self._blocks.check_all()
