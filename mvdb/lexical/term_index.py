"""Term index of a segment: for each term the rows that have it, with their values.

Values are the occurrences of a word in a text, or learned weights. The core packs terms and
postings into blocks (csrc/lexical/terms.h has their grammar). Here the blocks are laid out in the
file, so that a query reads and verifies only the blocks of its terms. Of n rows, b blocks in e
extents:

    part WORDS or WEIGHTS, index i   blocks of extent i, one after the other; TERMS_SLACK zero bytes
    part WORD_DIRECTORY or WEIGHT_DIRECTORY
                            u32 n; u32 b; u32 e; u32 h; u8 1 for words, 0 for weights
                            b * u64        XXH3-64 of each block
                            (b + 1) * u32  offset of each block, extents laid end to end without
                                           their slack; the last one is the end
                            (e + 1) * u32  first block of each extent; the last one is b
                            n * u16        tokens of each row, at most 65535; absent for weights
                            b * u8         bytes of each block's head
                            h bytes        heads: the first term of each block
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.limits import Limits
from mvdb.storage.checked_blocks import BlockCutter, CheckedBlocks, Extents
from mvdb.storage.format import Record, pack_arrays, unpack_arrays
from mvdb.storage.invariants import require
from mvdb.storage.spool import Spool

Lengths = NDArray[np.uint16]
Stem = Callable[[list[bytes]], list[bytes]]
"""Gives for each term the term under which it is filed."""

_COUNTS = Record("IIIIB")  # rows, blocks, extents, bytes of heads, words; on disk: frozen
_LARGEST = 0xFFFF_FFFF
_BATCH_BYTES = 1 << 16
"""Bytes of texts that cross into the core together."""
_STEMMED = 4096
"""Terms that are stemmed together."""


# ---- reading ----


class TermIndex:
    """A term index, open for reading. Lives as long as its segment. Thread-safe: at worst two
    threads verify the same block."""

    def __init__(
        self, directory: memoryview, find_extents: Callable[[int], Extents], where: str
    ) -> None:
        (n, b, e, h, has_lengths), rest = _COUNTS.unpack_head(directory, where)
        require(has_lengths <= 1, where, f"values of kind {has_lengths}")
        types = (("<u8", b), ("<u4", b + 1), ("<u4", e + 1), ("<u2", n * has_lengths))
        checksums, starts, extent_blocks, lengths, sizes, heads = unpack_arrays(
            rest, where, *types, ("<u1", b), ("<u1", h)
        )
        head_starts = np.zeros(b + 1, np.uint32)
        np.cumsum(sizes, out=head_starts[1:], dtype=np.uint32)
        require(int(head_starts[-1]) == h, where, f"{h} bytes of heads")
        self._extents = find_extents(e)
        self._blocks = CheckedBlocks(checksums, starts, extent_blocks, self._extents, where)
        self.lengths: Lengths | None = lengths if has_lengths else None
        """Tokens of each row; None for weights."""
        self.view = core.TermView(
            n, self.lengths, starts, extent_blocks, head_starts, heads.tobytes(),
            self._extents.bodies,
        )  # fmt: skip
        self.n_rows: int = n
        self.n_tokens = int(lengths.sum(dtype=np.int64))
        """Sum of the rows' lengths; 0 for weights."""
        self.n_filled = int(np.count_nonzero(lengths))
        """Rows that have words; 0 for weights."""

    @property
    def n_extents(self) -> int:
        """Number of extents."""
        return len(self._extents.bodies)

    def open(self, names: core.TermNames) -> None:
        """Verifies the blocks that have these terms; REQUIRED before the core reads them."""
        blocks = self.view.blocks(names)
        self._blocks.check(np.unique(blocks[blocks < self.view.n_blocks]))

    def frequencies(self, names: core.TermNames) -> core.Numbers:
        """Number of rows that have each term."""
        self.open(names)
        return self.view.frequencies(names)

    def frequency(self, term: bytes) -> int:
        """Number of rows that have a term."""
        return int(self.frequencies(core.TermNames([term]))[0])

    def containing(self, names: core.TermNames) -> NDArray[np.bool_]:
        """Whether each row has all the terms."""
        self.open(names)
        return self.view.containing(names)

    def prefixed(self, prefix: bytes, limit: int) -> list[tuple[bytes, int]]:
        """The first `limit` terms with a prefix, ascending by their bytes, with the number of rows
        that have each."""
        found: list[tuple[bytes, int]] = []
        for block in self.view.prefix_blocks(prefix):
            for term, count in self.terms(block):
                if term.startswith(prefix) and len(found) < limit:
                    found.append((term, count))
            if len(found) == limit:
                break
        return found

    def terms(self, block: int) -> list[tuple[bytes, int]]:
        """The terms of a block, ascending, with the number of rows that have each."""
        self._blocks.check(np.array([block], np.uint32))
        return self.view.terms(block)

    def all_terms(self) -> Iterator[tuple[bytes, int]]:
        """All terms, ascending, with the number of rows that have each."""
        for block in range(self.view.n_blocks):
            yield from self.terms(block)

    def check_checksums(self) -> None:
        """Verifies every block."""
        self._blocks.check_all()

    def check_all(self) -> None:
        """Verifies every block, and that everything in it fits together."""
        self.check_checksums()
        for block in range(self.view.n_blocks):
            self.view.check_block(block)


# ---- writing ----


@dataclass(frozen=True)
class _Run:
    """Rows whose blocks are in the spool. lengths: None for weights."""

    first_row: int
    n_rows: int
    lengths: Lengths | None
    sizes: core.Numbers  # of each block
    heads: list[bytes]
    begin: int  # in the spool

    def view(self, spool: memoryview) -> core.TermView:
        starts = np.zeros(len(self.sizes) + 1, np.uint32)
        np.cumsum(self.sizes, out=starts[1:], dtype=np.uint32)
        end = self.begin + int(starts[-1]) + core.TERMS_SLACK
        extents = [spool[self.begin : end]] if self.heads else []
        extent_blocks = np.array([0, len(self.heads)] if self.heads else [0], np.uint32)
        return core.TermView(
            self.n_rows, self.lengths, starts, extent_blocks, _starts_of(self.heads),
            b"".join(self.heads), extents,
        )  # fmt: skip

    def rows(self) -> core.Numbers:
        """The run's rows in the whole index."""
        return np.arange(self.first_row, self.first_row + self.n_rows, dtype=np.uint32)


class TermIndexWriter:
    """Makes the term index of a segment, row by row, in about `memory` bytes: beyond them finished
    runs of rows go to a temporary file in `folder`, and are merged at the end. Besides, 2 bytes a
    row and about 1 byte a distinct term are in memory. Used by one thread: rows, then `extents`,
    then `directory`; `close` in any case."""

    def __init__(
        self,
        folder: str,
        memory: int,
        stem: Stem | None = None,
        *,
        weights: bool = False,
        extent_bytes: int = Limits.extent_bytes,
    ) -> None:
        """weights: rows are weights of terms instead of texts. stem: for terms of texts."""
        self._memory = memory
        self._stem = stem
        self._weights = weights
        self._extent_bytes = extent_bytes
        self._builder = core.TermBuilder(weights=weights)
        self._waiting: list[bytes | None] = []
        self._waiting_bytes = 0
        self._spool = Spool(folder, memory)
        self._spooled = 0
        self._runs: list[_Run] = []
        self._cutter = BlockCutter(extent_bytes, core.TERMS_SLACK)
        self._lengths: Lengths | None = None
        self._heads: list[bytes] = []
        self.n_rows = 0
        """Rows added so far."""

    def add_text(self, text: bytes | None) -> None:
        """Appends a folded text (`tokeniser.fold`), UTF-8, as the next row; None: no text."""
        self._waiting.append(text)
        self._waiting_bytes += 64 + len(text or b"")
        self.n_rows += 1
        if self._waiting_bytes >= _BATCH_BYTES:
            self._index_waiting()

    def add_weights(self, terms: Sequence[bytes], weights: core.Floats) -> None:
        """Appends weights as the next row: distinct terms of 1 to MAX_TERM bytes, and for each a
        weight above 0 and at most GREATEST_WEIGHT."""
        self._builder.add_weights(terms, weights)
        self.n_rows += 1
        self._spill_if_full()

    def add_empty(self, count: int) -> None:
        """Appends rows without weights."""
        self._spill()
        self._add_run(count, None, ())
        self.n_rows += count

    def add_rows(self, index: TermIndex, rows: core.Numbers) -> None:
        """Appends copies of rows of another index, ascending. Reads the whole of that index."""
        self._spill()
        if len(rows) == 0:
            return
        index.check_checksums()
        new_rows = np.full(index.n_rows, core.NO_ROW, np.uint32)
        new_rows[rows] = np.arange(len(rows), dtype=np.uint32)
        lengths = None if index.lengths is None else index.lengths[rows]
        blocks = core.merge_terms(
            [index.view], [new_rows], len(rows), lengths, least=self._extent_bytes
        )
        self._add_run(len(rows), lengths, blocks)
        self.n_rows += len(rows)

    def extents(self) -> Iterator[bytes]:
        """The extents, one after the other. REQUIRES: a row was added."""
        self._index_waiting()
        if self._runs:
            self._spill()
            blocks = self._merged()
        else:
            self._apply_stem()
            self._lengths = None if self._weights else self._builder.lengths()
            blocks = self._builder.run(self._extent_bytes)
        yield from self._cutter.extents(self._each_block(blocks))

    def directory(self) -> bytes:
        """The directory. REQUIRES: all extents have been made."""
        cutter, heads = self._cutter, b"".join(self._heads)
        if int(cutter.starts[-1]) > _LARGEST:
            raise ValueError(f"a term index of {cutter.starts[-1]} bytes")
        has_lengths = self._lengths is not None
        lengths = np.empty(0) if self._lengths is None else self._lengths
        counts = (self.n_rows, len(self._heads), len(cutter.extent_blocks) - 1, len(heads))
        return b"".join(
            (
                _COUNTS.pack(*counts, has_lengths),
                pack_arrays(
                    ("<u8", cutter.checksums),
                    ("<u4", cutter.starts),
                    ("<u4", cutter.extent_blocks),
                    ("<u2", lengths),
                ),
                bytes(map(len, self._heads)),
                heads,
            )
        )

    def close(self) -> None:
        """Closes the temporary file."""
        self._spool.close()

    def _index_waiting(self) -> None:
        texts, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if texts:
            self._builder.add_texts(texts)
            self._spill_if_full()

    def _spill_if_full(self) -> None:
        if self._builder.n_bytes > self._memory:
            self._spill()

    def _spill(self) -> None:
        """Makes a run of the rows in the builder."""
        self._index_waiting()
        builder = self._builder
        if builder.n_rows == 0:
            return
        self._apply_stem()
        lengths = None if self._weights else builder.lengths()
        self._add_run(builder.n_rows, lengths, builder.run(self._extent_bytes))
        self._builder = core.TermBuilder(weights=self._weights)

    def _apply_stem(self) -> None:
        if self._stem is None:
            return
        n_terms = self._builder.n_terms  # stems that are new come behind them
        for first in range(0, n_terms, _STEMMED):
            terms = self._builder.terms(first, min(first + _STEMMED, n_terms))
            self._builder.rename(first, self._stem(terms))

    def _add_run(
        self, n_rows: int, lengths: Lengths | None, blocks: Iterable[core.TermBlocks]
    ) -> None:
        first_row = sum(run.n_rows for run in self._runs)
        sizes, heads, begin = [np.empty(0, np.uint32)], [], self._spooled
        for some in blocks:
            self._spooled += self._spool.write(some.body)
            sizes.append(some.sizes)
            heads += some.heads
        self._spooled += self._spool.write(bytes(core.TERMS_SLACK))
        self._runs.append(_Run(first_row, n_rows, lengths, np.concatenate(sizes), heads, begin))

    def _merged(self) -> Iterator[core.TermBlocks]:
        spool = self._spool.contents()
        if not self._weights:
            self._lengths = np.concatenate([run.lengths for run in self._runs])
        views = [run.view(spool) for run in self._runs]
        maps = [run.rows() for run in self._runs]
        return core.merge_terms(views, maps, self.n_rows, self._lengths, least=self._extent_bytes)

    def _each_block(self, blocks: Iterable[core.TermBlocks]) -> Iterator[memoryview]:
        for some in blocks:
            self._heads += some.heads
            at, body = 0, memoryview(some.body)
            for size in some.sizes.tolist():
                yield body[at : at + size]
                at += size


def _starts_of(parts: Sequence[bytes]) -> core.Numbers:
    starts = np.zeros(len(parts) + 1, np.uint32)
    np.cumsum([len(part) for part in parts], out=starts[1:], dtype=np.uint32)
    return starts
