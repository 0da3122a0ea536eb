"""Changes of one write transaction, until its commit.

Documents go into the write buffer and deletions into a list, both in memory; `flush` and merges
write segments and tombstones into tables of the open transaction. The manifest that names them is
changed in memory and written last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from mvdb.codebook import codebook as codebooks
from mvdb.errors import InvalidInputError
from mvdb.limits import Limits
from mvdb.segment import layout
from mvdb.segment.layout import FLOAT16, SegmentInfo
from mvdb.segment.segment_writer import Listing, Sealed
from mvdb.segment.weight_writer import WeightWriter
from mvdb.segment.word_writer import WordWriter
from mvdb.state import lexical_identity, manifest, tombstones
from mvdb.state.settings import Settings
from mvdb.state.state import State, open_state
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.write.memory_budget import Budget
from mvdb.write.write_buffer import WriteBuffer

Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]
"""A transaction and the state that it sees."""
Measure = Callable[[ReadTransaction, State, Callable[[], None]], float | None]
"""The level of relevance of a state; None if it has none. The function given to it is called
between the searches, and may raise to end them."""


@dataclass(frozen=True)
class Resources:
    """Shared by all write transactions of an open database. Immutable."""

    settings: Settings
    limits: Limits
    memory: Budget
    folder: str
    """For temporary files."""
    executor: Executor
    measure: Measure


class Changes:
    """The changes of one write transaction. Used by one thread; lives as long as the transaction.

    `buffer`, `deleted` (rows by segment) and `updated` (new metadata by document number) have not
    been flushed; `manifest` names the segments that have. `state` is the state with all changes,
    None once it is out of date. `updated_bytes`: memory of `updated`."""

    def __init__(self, txn: WriteTransaction, base: State, resources: Resources) -> None:
        """base: the state before the transaction."""
        self.txn = txn
        self.base = base
        self.resources = resources
        self.limits = resources.limits
        self.manifest = base.manifest
        self.lexical = base.lexical
        self.buffer: WriteBuffer | None = None
        self.deleted: dict[int, list[int]] = {}
        self.updated: dict[int, bytes | None] = {}
        self.updated_bytes = 0
        self.state: State | None = base
        self._lookup = base
        self._codebook = base.codebook

    @property
    def is_untrained(self) -> bool:
        """Whether vectors are kept as float16 until there are centroids."""
        return self.manifest.generation == FLOAT16 and self.resources.settings.bits != 16

    def codebook(self) -> codebooks.Codebook | None:
        """The codebook for new segments; None before training."""
        number, stored = self.manifest.generation, self.resources.settings
        if number == FLOAT16:
            return None
        if self._codebook is None or self._codebook.generation != number:
            self._codebook = codebooks.load(self.txn, number, stored.dim, stored.bits)
        return self._codebook

    def open_state(self) -> State:
        """The state of the tables, without buffer and deletions that have not been flushed."""
        return open_state(
            self.txn,
            self.manifest,
            self.resources.settings,
            self.base,
            volatile_from=self.base.manifest.next_segment,
        )

    def locate(self, number: int) -> tuple[int, int] | None:
        """Segment and row of a document that is in a segment."""
        if self._lookup.manifest.segments is not self.manifest.segments:
            self._lookup = self.open_state()
        place = self._lookup.locate(number)
        return None if place is None else (self._lookup.segments[place[0]].id, place[1])

    # ---- segments ----

    def new_segment(self, n_tokens: int) -> tuple[int, Listing | None]:
        """The number of a new segment of about `n_tokens`, and the means of making posting lists if
        it gets them."""
        number = self.manifest.next_segment
        self.manifest = replace(self.manifest, next_segment=number + 1)
        codebook, resources = self.codebook(), self.resources
        if codebook is None or n_tokens < self.limits.listed_tokens:
            return number, None
        return number, Listing(codebook.codec, resources.folder, resources.memory.postings)

    def new_words(self) -> WordWriter | None:
        """The writer of the term index of a new segment's texts; None for a file without one."""
        resources = self.resources
        return lexical_identity.new_words(self.lexical, resources.folder, resources.memory.words)

    def new_weights(self) -> WeightWriter:
        """The writer of the term index of a new segment's learned weights."""
        return WeightWriter(self.resources.folder, self.resources.memory.weights)

    def check_words(self) -> None:
        """InvalidInputError when texts cannot be indexed by this process."""
        fault = self.lexical.fault
        if fault is not None:
            raise InvalidInputError(f"texts cannot be indexed: {fault}")

    def store(self, parts: Iterable[Sealed]) -> None:
        """Stores parts of a segment."""
        for key, value in parts:
            self.txn.put(layout.TABLE, key, value)

    def with_tombstones(self, info: SegmentInfo, live: Live, deleted_tokens: int) -> SegmentInfo:
        """Stores which rows of a segment are live; its entry with these deletions."""
        tombstones.store(self.txn, info.id, live)
        n_deleted = len(live) - int(np.count_nonzero(live))
        return replace(info, n_deleted=n_deleted, deleted_tokens=deleted_tokens)

    def replace_segments(self, old: Collection[int], new: Iterable[SegmentInfo]) -> None:
        """Removes segments from manifest and tables, with those that have no documents left, and
        adds others."""
        kept = []
        for info in (*self.manifest.segments, *new):
            if info.id in old or info.live_documents == 0:
                self.txn.delete_prefix(layout.TABLE, layout.segment_prefix(info.id))
                self.txn.delete(tombstones.TABLE, layout.segment_prefix(info.id))
            else:
                kept.append(info)
        self.manifest = self.manifest.with_segments(kept)

    # ---- the end ----

    def store_manifest(self) -> bool:
        """Writes the manifest; False if it has not changed."""
        if self.manifest == self.base.manifest:
            return False
        manifest.store(self.txn, replace(self.manifest, sequence=self.manifest.sequence + 1))
        return True

    def close(self) -> None:
        """Closes temporary files."""
        if self.buffer is not None:
            self.buffer.close()
            self.buffer = None
