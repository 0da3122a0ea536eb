"""Blocks that are verified one by one, cut into extents.

A part of a segment may hold many blocks of which a query reads few: its values are extents, each of
whole blocks one after the other and a few zero bytes that the core may read behind the last one. A
directory beside them has the blocks' checksums and offsets. The envelope of an extent covers key
and header only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.format import Buffer
from mvdb.storage.invariants import is_cut, require


class BlockCutter:
    """Cuts blocks into extents of about `extent_bytes`; a larger block has an extent of its own."""

    def __init__(self, extent_bytes: int, slack: int) -> None:
        self._extent_bytes = extent_bytes
        self._slack = slack
        self._sizes: list[int] = []
        self._checksums: list[int] = []
        self._extent_blocks = [0]

    def extents(self, blocks: Iterable[Buffer]) -> Iterator[bytes]:
        """The extents of these blocks, one after the other."""
        extent: list[Buffer] = []
        size = 0
        for block in blocks:
            if extent and size + len(block) > self._extent_bytes:
                yield self._join(extent)
                extent, size = [], 0
            self._sizes.append(len(block))
            self._checksums.append(envelope.checksum(block))
            extent.append(block)
            size += len(block)
        if extent:
            yield self._join(extent)

    def _join(self, blocks: list[Buffer]) -> bytes:
        self._extent_blocks.append(self._extent_blocks[-1] + len(blocks))
        return b"".join([*blocks, bytes(self._slack)])

    # REQUIRES of the following: all extents have been made.

    @property
    def checksums(self) -> NDArray[np.uint64]:
        """XXH3-64 of each block."""
        return np.array(self._checksums, np.uint64)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Offset of each block, extents laid end to end without slack; the last one is the end."""
        return np.concatenate([[0], np.cumsum(self._sizes, dtype=np.int64)])

    @property
    def extent_blocks(self) -> NDArray[np.int64]:
        """First block of each extent; the last one is the number of blocks."""
        return np.array(self._extent_blocks)


class Extents(Protocol):
    """The extents of a part whose blocks have checksums of their own."""

    bodies: list[memoryview]

    def open(self, indexes: NDArray[np.integer]) -> None:
        """Verifies the envelopes of these extents; REQUIRED before their bodies are read."""


class CheckedBlocks:
    """The blocks of a part, verified at their first use. Thread-safe: at worst two threads verify
    the same block. CorruptionError unless the arrays (as `BlockCutter` has them) are in order."""

    def __init__(
        self,
        checksums: NDArray[np.uint64],
        starts: NDArray[np.uint32],
        extent_blocks: NDArray[np.uint32],
        extents: Extents,
        where: str,
    ) -> None:
        in_order = is_cut(starts, int(starts[-1]))
        require(in_order, where, "blocks are not in order")
        require(is_cut(extent_blocks, len(checksums)), where, "extents are not in order")
        self._where = where
        self._checksums, self._starts, self._extent_blocks = checksums, starts, extent_blocks
        self._extents = extents
        self._checked = np.zeros(len(checksums), bool)

    @property
    def marks(self) -> NDArray[np.bool_]:
        """For each block whether it has been verified since opening."""
        return self._checked

    def unread(self, blocks: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Those of the blocks that have not been verified since opening."""
        return blocks[~self._checked[blocks]]

    def check(self, blocks: NDArray[np.uint32]) -> None:
        """Verifies the unread ones of these blocks; CorruptionError when one is damaged."""
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
