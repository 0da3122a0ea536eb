"""Inverted lists of a segment: from a centroid to the documents that have a token with its code.

The core packs and reads them (csrc/postings/lists.h); here is how the packed blocks lie in the
file. Blocks follow each other in extents; the list directory, a part of its own, tells where each
one begins and holds its checksum, so that a query reads and verifies only the blocks it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.format import Record, pack_arrays, unpack_arrays
from mvdb.storage.invariants import is_cut, require

EXTENT_BYTES = (1 << 20) - 4096
"""Blocks of an extent, at most (one block may exceed it): see `layout.CHUNK_BYTES`."""

_POSTING_BYTES = 10  # collected, packed at most, and begun with
_COUNTS = Record("III")  # lists, blocks, extents; on disk: frozen


def _passes(counts: core.Numbers, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of lists, whole blocks, with at most so many postings or one block."""
    blocks = np.add.reduceat(
        counts, np.arange(0, len(counts), core.LISTS_BLOCK), dtype=np.int64
    ).tolist()
    first, total = 0, 0
    for i, size in enumerate(blocks):
        if total and total + size > most:
            yield first, i * core.LISTS_BLOCK
            first, total = i * core.LISTS_BLOCK, 0
        total += size
    yield first, len(counts)


class Builder:
    """Makes the lists of documents given by their codes, in about `memory` bytes."""

    def __init__(
        self,
        codes: core.Bytes,
        code_bytes: int,
        starts: core.Numbers,
        n_lists: int,
        memory: int,
    ) -> None:
        self._codes = codes
        self._code_bytes = code_bytes
        self._starts = starts
        self._n_lists = n_lists
        self._memory = memory
        self._sizes: list[int] = []
        self._checksums: list[int] = []
        self._extent_blocks = [0]

    def extents(self) -> Iterator[bytes]:
        """The extents, one after the other."""
        waiting: list[memoryview] = []
        waiting_bytes = 0
        for block in self._blocks():
            if waiting and waiting_bytes + len(block) > EXTENT_BYTES:
                yield self._extent(waiting)
                waiting, waiting_bytes = [], 0
            self._sizes.append(len(block))
            self._checksums.append(envelope.checksum(block))
            waiting.append(block)
            waiting_bytes += len(block)
        yield self._extent(waiting)

    def _blocks(self) -> Iterator[memoryview]:
        counts = core.count_lists(self._codes, self._code_bytes, self._starts, self._n_lists)
        for first, last in _passes(counts, self._memory // _POSTING_BYTES):
            packed, sizes = core.pack_lists(
                self._codes, self._code_bytes, self._starts, counts, first, last
            )
            at = 0
            for size in sizes.tolist():
                yield packed.data[at : at + size]
                at += size

    def _extent(self, blocks: list[memoryview]) -> bytes:
        self._extent_blocks.append(self._extent_blocks[-1] + len(blocks))
        return b"".join([*blocks, bytes(core.LISTS_SLACK)])

    def directory(self) -> bytes:
        """The list directory, when all extents have been made."""
        block_starts = np.concatenate([[0], np.cumsum(self._sizes, dtype=np.int64)])
        counts = _COUNTS.pack(self._n_lists, len(self._sizes), len(self._extent_blocks) - 1)
        return counts + pack_arrays(
            ("<u8", np.array(self._checksums, np.uint64)),
            ("<u4", block_starts),
            ("<u4", np.array(self._extent_blocks)),
        )


class Extents(Protocol):
    """The extents, as they are found in the file."""

    bodies: list[memoryview]

    def open(self, indexes: NDArray[np.integer]) -> None:
        """Makes sure that these may be read."""


class Lists:
    """The lists of one segment, as a search reads them."""

    def __init__(
        self, directory: memoryview, find_extents: Callable[[int], Extents], where: str
    ) -> None:
        self._where = where
        (n_lists, n_blocks, n_extents), rest = _COUNTS.unpack_head(directory, where)
        types = (("<u8", n_blocks), ("<u4", n_blocks + 1), ("<u4", n_extents + 1))
        arrays = unpack_arrays(rest, where, *types)
        fits = n_lists > 0 and n_blocks == -(-n_lists // core.LISTS_BLOCK)
        require(fits, where, f"{n_blocks} blocks for {n_lists} lists")
        self._checksums, self._starts, self._extent_blocks = arrays
        in_order = is_cut(self._starts, int(self._starts[-1]))
        require(in_order, where, "blocks of lists are not in order")
        in_order = n_extents > 0 and is_cut(self._extent_blocks, n_blocks)
        require(in_order, where, "extents of lists are not in order")
        self._extents = find_extents(n_extents)
        self.view = core.ListsView(n_lists, self._starts, self._extent_blocks, self._extents.bodies)
        self._checked = np.zeros(n_blocks, bool)

    @property
    def n_extents(self) -> int:
        """Extents that the blocks lie in."""
        return len(self._extents.bodies)

    def blocks(self, lists: core.Numbers) -> core.Numbers:
        """The blocks that hold these lists, each once, ascending."""
        found = np.unique(lists[lists < self.view.n_lists] // core.LISTS_BLOCK)
        return found.astype(np.uint32, copy=False)

    def unread(self, blocks: core.Numbers) -> core.Numbers:
        """Those blocks that were not verified since opening."""
        return blocks[~self._checked[blocks]]

    def check(self, blocks: core.Numbers) -> None:
        """Verifies blocks that were not yet; CorruptionError when one is damaged."""
        unread = self.unread(blocks)
        if len(unread) == 0:
            return
        extents = np.searchsorted(self._extent_blocks, unread, side="right") - 1
        self._extents.open(extents)
        origins = self._starts[self._extent_blocks[extents]].astype(np.int64)
        places = zip(
            extents.tolist(),
            (self._starts[unread] - origins).tolist(),
            (self._starts[unread + 1] - origins).tolist(),
            self._checksums[unread].tolist(),
            strict=True,
        )
        bodies, checksum = self._extents.bodies, envelope.checksum
        for at, (extent, first, last, expected) in enumerate(places):
            if checksum(bodies[extent][first:last]) != expected:
                raise CorruptionError(
                    f"{self._where}: block {int(unread[at])} is damaged (checksum mismatch)"
                )
        self._checked[unread] = True

    def check_all(self) -> None:
        """Verifies every block."""
        self.check(np.arange(len(self._checked), dtype=np.uint32))
