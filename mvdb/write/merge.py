"""One merge: neighbouring segments become one, without their deleted documents, in steps.

1. Rows (ids, texts, metadata) are copied, STEP_ROWS at a time. Term indexes of words and of
   learned weights are merged; the texts of segments whose words are out of date are indexed anew.
2. If the new segment gets posting lists, its documents are clustered by the old segments' codes.
3. Slots (codes, residuals) are copied in the new order, about `step_bytes` at a time. Only codes
   change, if the present codebook has codes of more bytes: they are widened. Once centroids were
   added, the posting lists are of the centroids nearest to the stored vectors today: documents from
   before are then found as near to a query as later ones. These are sought by an executor's
   threads, as they take most of the time, a step ahead of the one that is stored.
4. The other parts are made.
5. The new segment replaces the old ones in the manifest; documents that were deleted during the
   merge get tombstones (`publish`).

The caller stores the parts of each step, in a transaction of its own or in the open one. No
manifest names the new segment before step 5, so an interruption costs the work of the merge alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.documents.value_allowance import Allowance
from mvdb.segment import clustering
from mvdb.segment.layout import SegmentInfo, Slot
from mvdb.segment.segment import Segment
from mvdb.segment.segment_writer import Sealed, SegmentWriter
from mvdb.segment.stored_vectors import StoredVectors
from mvdb.state.state import State
from mvdb.state.tombstones import Live
from mvdb.write.changes import Changes, Reading

RELISTED_GROWTH = 1.1
"""Ratio of the centroids to the greatest code of a document from which it is sought anew: it was
encoded when there were fewer. Of the tokens of one encoded today some have a greater code."""
STEP_ROWS = 16_384
YIELD_DOCUMENTS = 64
"""Documents that are copied between two calls of `yield_gil`, at most."""
YIELD_BYTES = 1 << 20
"""Bytes of their records, about, if there are more documents than one."""
CHECKED_DOCUMENTS = 4096
"""Documents that are verified between two calls of `yield_gil`."""

Stored = tuple[bytes, bytes, int]
"""Codes, record and tokens of a document."""


@dataclass(frozen=True)
class Batch:
    """Some documents; which of them were assigned to centroids earlier, and the centroids whose
    lists get each of these; None without such ones."""

    documents: Sequence[Stored]
    old: Sequence[int] = ()
    nearest: Future[list[memoryview]] | None = None

    def listed(self) -> dict[int, memoryview]:
        """The centroids whose lists get a document; those of its codes, if it is not there."""
        return dict(zip(self.old, self.nearest.result(), strict=True)) if self.nearest else {}


class SegmentGone(Exception):
    """Another process has merged a segment of the merge, or removed the new one as abandoned."""


class Merge:
    """A merge of `infos` into a new segment. Used by one thread; the caller closes the writer."""

    def __init__(
        self,
        changes: Changes,
        infos: Sequence[SegmentInfo],
        reading: Reading,
        executor: Executor,
        yield_gil: Callable[[], None] = lambda: None,
    ) -> None:
        """changes: give the new segment its number; not kept. executor: assigns stored vectors to
        centroids. yield_gil: called every few documents, to let other threads run; may raise to end
        the merge."""
        self.infos = list(infos)
        number, listing = changes.new_segment(sum(info.live_tokens for info in infos))
        codebook = changes.codebook()
        self._code_bytes = 0 if codebook is None else codebook.codec.code_bytes
        self._codebook = codebook
        self._relists = listing is not None and codebook is not None and bool(codebook.extends)
        self._near: core.NearGroups | None = None
        self._limits = changes.limits
        self._lexical = changes.lexical
        self.writer = SegmentWriter(
            number,
            changes.manifest.generation,
            self._limits,
            changes.new_weights(),
            listing,
            changes.new_words(),
        )
        self._reading = reading
        self._executor = executor
        self._yield_gil = yield_gil
        self._rows: list[core.Numbers] = []  # of each old segment, to be copied
        self._order: core.Numbers | None = None

    def steps(self) -> Iterator[list[Sealed]]:
        """Does the work; yields the parts that each step has made. Raises SegmentGone."""
        with self._reading() as (_, state):
            for info in self.infos:
                live = _find(state, info)[1]
                rows = np.arange(info.n_documents, dtype=np.uint32)
                self._rows.append(rows if live is None else rows[live])
        yield from self._copy_rows()
        if self.writer.listed:
            self._order = self._choose_order()
        yield from self._copy_slots()
        yield from self.writer.finish(self._order)

    def info(self) -> SegmentInfo:
        """The new segment's entry in the manifest, without later deletions."""
        residuals = (
            info.residual_sum * len(rows) / info.n_documents
            for info, rows in zip(self.infos, self._rows, strict=True)
        )
        return self.writer.info(sum(residuals))

    def live(self, state: State) -> Live:
        """Rows of the new segment whose documents are live in a later state of the old segments.
        Raises SegmentGone."""
        parts = []
        for info, rows in zip(self.infos, self._rows, strict=True):
            live = _find(state, info)[1]
            parts.append(np.ones(len(rows), bool) if live is None else live[rows])
        return np.concatenate(parts)

    def lengths(self) -> core.Numbers:
        """Tokens of each row of the new segment."""
        by_slot = self.writer.lengths()
        if self._order is None:
            return by_slot
        by_row = np.empty_like(by_slot)
        by_row[self._order] = by_slot
        return by_row

    def _copy_rows(self) -> Iterator[list[Sealed]]:
        allowance = Allowance()
        words = self.writer.words
        for info, rows in zip(self.infos, self._rows, strict=True):
            has_words = self._lexical.is_current(info)
            for first in range(0, len(rows), STEP_ROWS):
                with self._reading() as (txn, state):
                    segment = _find(state, info)[0]
                    if first == 0:
                        allowance.earn(segment.stored_bytes)
                    numbers = segment.directory.numbers
                    step = segment.rows_stored(txn, rows[first : first + STEP_ROWS], allowance)
                    for i, (row, stored) in enumerate(step):
                        key = segment.key(txn, row)
                        self.writer.add_row(int(numbers[row]), key, *stored)
                        if words is not None and not has_words:
                            words.add_text(stored[0])
                        if i % YIELD_DOCUMENTS == 0:
                            self._yield_gil()
                yield self.writer.take()
            with self._reading() as (txn, state):
                segment = _find(state, info)[0]
                if words is not None and has_words:
                    words.add_rows(segment.words(txn), rows)
                self.writer.weights.add_rows(segment.weights(txn), rows)

    def _choose_order(self) -> core.Numbers:
        points = []
        with self._reading() as (txn, state):
            for info, rows in zip(self.infos, self._rows, strict=True):
                segment = _find(state, info)[0]
                vectors = segment.open_vectors(txn)
                slots = np.arange(info.n_documents, dtype=np.uint32)
                for first in range(0, len(slots), CHECKED_DOCUMENTS):
                    vectors.check(slots[first : first + CHECKED_DOCUMENTS])
                    self._yield_gil()
                points.append(vectors.points()[segment.slots(rows)])
        return clustering.cluster_order(
            np.concatenate(points), segment.dim, self._limits.cluster_documents, self._yield_gil
        )

    def _copy_slots(self) -> Iterator[list[Sealed]]:
        sources = np.repeat(np.arange(len(self.infos)), [len(rows) for rows in self._rows])
        rows = np.concatenate(self._rows)
        if self._order is not None:
            sources, rows = sources[self._order], rows[self._order]
        first, step = 0, self._read_step(sources, rows)
        while step:
            first += sum(len(batch.documents) for batch in step)
            # Threads go on with the next step's batches while this one's parts are stored.
            ahead = self._read_step(sources[first:], rows[first:])
            for batch in step:
                listed = batch.listed()
                for i, stored in enumerate(batch.documents):
                    self.writer.add_slot(*stored, listed.get(i))
                self._yield_gil()
            yield self.writer.take()
            step = ahead

    def _read_step(self, sources: NDArray[np.int64], rows: core.Numbers) -> list[Batch]:
        """The first of these documents, about `step_bytes` of them, in batches; the threads begin
        to seek the centroids of old ones."""
        if len(rows) == 0:
            return []
        with self._reading() as (txn, state):
            segments = [_find(state, info)[0] for info in self.infos]
            vectors = [segment.open_vectors(txn) for segment in segments]
            return list(self._read(segments, vectors, sources, rows))

    def _read(
        self,
        segments: list[Segment],
        vectors: list[StoredVectors],
        sources: NDArray[np.int64],
        rows: core.Numbers,
    ) -> Iterator[Batch]:
        """The first of these documents, a few at a time, about `step_bytes` of them in all."""
        first = size = 0
        while first < len(rows) and size < self._limits.step_bytes:
            span = slice(first, first + YIELD_DOCUMENTS)
            slots = np.empty(len(rows[span]), np.uint32)
            for i in np.unique(sources[span]).tolist():
                own = sources[span] == i
                slots[own] = segments[i].slots(rows[span][own])
                vectors[i].check(slots[own])
            some: list[Stored] = []
            n_bytes = 0
            for i, slot in zip(sources[span].tolist(), slots.tolist(), strict=True):
                some.append(self._stored(segments[i], vectors[i], slot))
                n_bytes += len(some[-1][1])
                if n_bytes >= YIELD_BYTES:
                    break
            yield self._batch(some)
            self._yield_gil()
            first += len(some)
            size += n_bytes

    def _stored(self, segment: Segment, vectors: StoredVectors, slot: Slot) -> Stored:
        """Codes of the present codebook, record and tokens of a document. Copied: the chunk may be
        written after the end of the transaction."""
        codes, record, n_tokens = vectors.stored(slot)
        if segment.code_bytes < self._code_bytes:
            codes = widened(codes, n_tokens, self._code_bytes)
        return bytes(codes), bytes(record), n_tokens

    def _assigned_earlier(self, some: Sequence[Stored]) -> list[int]:
        """Which of these documents were encoded with fewer centroids than there are today, and get
        into posting lists."""
        if self._codebook is None or not self._relists:
            return []
        lengths = np.array([n_tokens for _, _, n_tokens in some], np.uint32)
        codes = b"".join(codes for codes, _, _ in some)
        greatest = core.greatest_codes(codes, self._code_bytes, lengths)
        n_centroids = self._codebook.codec.n_centroids
        old: list[int] = np.nonzero(RELISTED_GROWTH * greatest < n_centroids)[0].tolist()
        if old and self._near is None:
            self._near = core.NearGroups(self._codebook.codec)
        return old

    def _batch(self, documents: Sequence[Stored]) -> Batch:
        """A batch of these documents, the search for the centroids of old ones begun."""
        old = self._assigned_earlier(documents)
        if self._near is None or not old:
            return Batch(documents)
        of_old = [documents[i] for i in old]
        return Batch(documents, old, self._executor.submit(self._nearest, self._near, of_old))

    def _nearest(self, near: core.NearGroups, documents: Sequence[Stored]) -> list[memoryview]:
        """For each document the codes of the centroids nearest to its tokens today. Called by
        several threads."""
        codes = b"".join(codes for codes, _, _ in documents)
        records = b"".join(record for _, record, _ in documents)
        lengths = np.array([n_tokens for _, _, n_tokens in documents], np.uint32)
        nearest = near.nearest_codes(codes, self._code_bytes, records, lengths)
        ends = np.cumsum(lengths) * self._code_bytes
        starts = ends - lengths * self._code_bytes
        return [nearest[start:end] for start, end in zip(starts, ends, strict=True)]


def widened(codes: memoryview, n: int, code_bytes: int) -> memoryview:
    """n codes, little-endian, in more bytes each."""
    wide = np.zeros((n, code_bytes), np.uint8)
    narrow = np.frombuffer(codes, np.uint8).reshape(n, -1)
    wide[:, : narrow.shape[1]] = narrow
    return wide.reshape(-1).data


def _find(state: State, wanted: SegmentInfo) -> tuple[Segment, Live | None]:
    for info, segment, live in zip(
        state.manifest.segments, state.segments, state.live, strict=True
    ):
        if info.id == wanted.id:
            return segment, live
    raise SegmentGone(f"segment {wanted.id} is gone")


def publish(changes: Changes, merge: Merge) -> None:
    """Replaces the old segments by the merged one. Raises SegmentGone when one of them is gone."""
    info, live = merge.info(), merge.live(changes.open_state())
    if not live.all():
        deleted_tokens = int(merge.lengths()[~live].sum())
        info = changes.with_tombstones(info, live, deleted_tokens)
    changes.replace_segments([old.id for old in merge.infos], [info])


def merge_at_once(changes: Changes, infos: Sequence[SegmentInfo]) -> None:
    """Merges segments of the manifest within the transaction."""
    here = nullcontext((changes.txn, changes.open_state()))
    merge = Merge(changes, infos, lambda: here, changes.resources.executor)
    for parts in merge.steps():
        changes.store(parts)
    merge.writer.close()
    publish(changes, merge)
