"""One merge: neighbouring segments become one, without their deleted documents, in steps.

Each step reads a bounded part of the old segments and yields finished parts of the new one, which
the caller stores in a transaction of its own or in the one it has. Nothing refers to the new
segment until the manifest does, so an interrupted merge costs only its work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np

from mvdb import core
from mvdb.documents.value_allowance import Allowance
from mvdb.segment import clustering
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment import Segment
from mvdb.segment.segment_writer import Sealed, SegmentWriter
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction

STEP_BYTES = 8 << 20
"""Bytes of parts that a step makes, about."""
STEP_ROWS = 16_384
BREATH_DOCUMENTS = 64
CHECKED_DOCUMENTS = 4096
"""The same where documents are only verified."""

Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]
"""A transaction and the state that it sees; segments of the merge are in it."""


class SegmentGone(Exception):
    """A segment of the merge is not in the state any more: another process has merged it."""


class Merge:
    """The work and its result. One thread."""

    def __init__(
        self,
        infos: Sequence[SegmentInfo],
        writer: SegmentWriter,
        code_bytes: int,
        reading: Reading,
        breathe: Callable[[], None],
    ) -> None:
        """code_bytes: of a code in the new segment. breathe: called every few documents, to let
        other threads go on."""
        self.infos = list(infos)
        self.writer = writer
        self._code_bytes = code_bytes
        self._breathe = breathe
        self._reading = reading
        self._live: dict[int, Live | None] = {}
        self._rows: list[core.Numbers] = []
        self._order: core.Numbers | None = None
        self._allowance = Allowance()

    def steps(self) -> Iterator[list[Sealed]]:
        """The work, a step at a time."""
        with self._reading() as (_, state):
            for info in self.infos:
                _, live = _find(state, info.id)
                self._live[info.id] = live
                everything = np.arange(info.n_documents, dtype=np.uint32)
                self._rows.append(everything if live is None else everything[live])
        yield from self._copy_rows()
        if self.writer.listed:
            self._order = self._choose_order()
        yield from self._copy_slots()
        for _ in self.writer.finish_steps(self._order):
            yield self.writer.take()
        yield self.writer.take()

    def info(self) -> SegmentInfo:
        """The new segment's entry in the manifest."""
        residuals = sum(
            info.residual_sum * len(rows) / info.n_documents
            for info, rows in zip(self.infos, self._rows, strict=True)
        )
        return self.writer.info(residuals)

    def left_of(self, state: State) -> Live | None:
        """Which documents of the new segment, by row, a later state has left of the old ones; None:
        all. SegmentGone when one of these is gone."""
        parts = []
        for info, rows in zip(self.infos, self._rows, strict=True):
            _, live = _find(state, info.id)
            parts.append(np.ones(len(rows), bool) if live is None else live[rows])
        left = np.concatenate(parts)
        return None if bool(left.all()) else left

    def lengths(self) -> core.Numbers:
        """Tokens of the documents of the new segment, by row."""
        by_slot = self.writer.lengths()
        if self._order is None:
            return by_slot
        by_row = np.empty_like(by_slot)
        by_row[self._order] = by_slot
        return by_row

    def _copy_rows(self) -> Iterator[list[Sealed]]:
        for info, rows in zip(self.infos, self._rows, strict=True):
            for first in range(0, len(rows), STEP_ROWS):
                with self._reading() as (txn, state):
                    segment, _ = _find(state, info.id)
                    if first == 0:
                        self._allowance.earn(segment.stored_bytes)
                    numbers = segment.directory.numbers
                    step = rows[first : first + STEP_ROWS]
                    found = segment.rows_stored(txn, step, self._allowance)
                    for i, (row, stored) in enumerate(found):
                        key = segment.key(txn, row)
                        self.writer.add_row(int(numbers[row]), key, *stored)
                        if i % BREATH_DOCUMENTS == 0:
                            self._breathe()
                yield self.writer.take()

    def _choose_order(self) -> core.Numbers | None:
        with self._reading() as (txn, state):
            points = []
            for info, rows in zip(self.infos, self._rows, strict=True):
                segment, _ = _find(state, info.id)
                everything = np.arange(info.n_documents, dtype=np.uint32)
                for first in range(0, len(everything), CHECKED_DOCUMENTS):
                    segment.check_records(txn, everything[first : first + CHECKED_DOCUMENTS])
                    self._breathe()
                points.append(segment.points(txn)[segment.slots(rows)])
                dim = segment.dim
        return clustering.by_likeness(np.concatenate(points), dim, self._breathe)

    def _copy_slots(self) -> Iterator[list[Sealed]]:
        sources = np.repeat(np.arange(len(self.infos)), [len(rows) for rows in self._rows])
        rows = np.concatenate(self._rows)
        if self._order is not None:
            sources, rows = sources[self._order], rows[self._order]
        at = 0
        while at < len(rows):
            with self._reading() as (txn, state):
                segments = [_find(state, info.id)[0] for info in self.infos]
                at += self._copy_some(txn, segments, sources[at:], rows[at:])
            yield self.writer.take()

    def _copy_some(
        self,
        txn: ReadTransaction,
        segments: list[Segment],
        sources: np.ndarray[tuple[int], np.dtype[np.int64]],
        rows: core.Numbers,
    ) -> int:
        """Copies the first of these documents, about STEP_BYTES of them; how many."""
        copied = size = 0
        while copied < len(rows) and size < STEP_BYTES:
            span = slice(copied, copied + BREATH_DOCUMENTS)
            slots = np.empty(len(rows[span]), np.uint32)
            for i in np.unique(sources[span]).tolist():
                mine = sources[span] == i
                slots[mine] = segments[i].slots(rows[span][mine])
                segments[i].check_records(txn, slots[mine])
            for i, slot in zip(sources[span].tolist(), slots.tolist(), strict=True):
                codes, record, n_tokens = segments[i].stored_vectors(txn, slot)
                if segments[i].code_bytes < self._code_bytes:
                    codes = _widened(codes, n_tokens, self._code_bytes)
                # Copied: they may wait for their chunk to fill longer than the transaction lives.
                self.writer.add_slot(bytes(codes), bytes(record), n_tokens)
                size += len(record)
            copied += len(slots)
            self._breathe()
        return copied


def _widened(codes: memoryview, n: int, code_bytes: int) -> bytes:
    """Codes in more bytes each."""
    wide = np.zeros((n, code_bytes), np.uint8)
    narrow = np.frombuffer(codes, np.uint8).reshape(n, -1)
    wide[:, : narrow.shape[1]] = narrow
    return wide.tobytes()


def _find(state: State, segment: int) -> tuple[Segment, Live | None]:
    for i, info in enumerate(state.manifest.segments):
        if info.id == segment:
            return state.segments[i], state.live[i]
    raise SegmentGone(f"segment {segment} is gone")
