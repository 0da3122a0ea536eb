"""A state of the database: the segments of one manifest, opened."""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.documents import id_table
from mvdb.documents.tenants import Tenant
from mvdb.lexical.term_index import TermIndex
from mvdb.segment.layout import FLOAT16, Row, SegmentInfo
from mvdb.segment.segment import Segment
from mvdb.segment.stored_vectors import StoredVectors
from mvdb.state import lexical_identity, manifest, tombstones
from mvdb.state.allowed_documents import Allowed
from mvdb.state.lexical_identity import LexicalIdentity
from mvdb.state.manifest import Manifest
from mvdb.state.settings import Settings
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction
from mvdb.storage.values import Values
from mvdb.threads import shield
from mvdb.threads.cached import cached


class DocumentRow(NamedTuple):
    """A document of a state: the index of its segment, and its row there."""

    segment: int
    row: Row


@dataclass(frozen=True)
class StateVectors:
    """The vectors of all segments of a state, opened; `views`: as the core reads them."""

    segments: tuple[StoredVectors, ...]
    views: core.SegmentList


@dataclass(frozen=True)
class StateTerms:
    """The term indexes of a state's texts, or of its learned weights, opened. segments: the
    indexes of the segments that have one. terms: as the core reads them. live: per term index a
    mask by row, or None for all."""

    segments: tuple[int, ...]
    indexes: tuple[TermIndex, ...]
    terms: core.TermList
    live: core.Bitmaps


class State:
    """The segments of one manifest, opened. Immutable, shared by threads."""

    def __init__(
        self,
        manifest: Manifest,
        segments: list[Segment],
        live: list[Live | None],
        open_codebooks: list[codebooks.Codebook],
        lexical: LexicalIdentity,
    ) -> None:
        """live: per segment a mask by row, or None for all. open_codebooks: those of all segments;
        the present one first. lexical: how words are indexed."""
        self.manifest = manifest
        self.lexical = lexical
        self.codebooks = open_codebooks
        self.segments = segments
        self.live = live
        self._firsts = [info.first for info in manifest.segments]
        self._lock = threading.Lock()
        self._vectors: StateVectors | None = None
        self._words: StateTerms | None = None
        self._weights: StateTerms | None = None

    @cached
    def everything(self) -> Allowed:
        """All live documents."""
        masks = [
            mask if mask is None or segment.order is None else mask[segment.order]
            for segment, mask in zip(self.segments, self.live, strict=True)
        ]
        return Allowed([len(segment) for segment in self.segments], masks)

    def documents_of(self, txn: ReadTransaction, tenant: Tenant) -> Allowed:
        """All live documents of a tenant."""
        if tenant.number is None:
            return self.everything
        chosen = []
        for segment, live in zip(self.segments, self.live, strict=True):
            slots = segment.tenants(txn).of(tenant.number)
            if live is not None:
                slots = slots[live[slots if segment.order is None else segment.order[slots]]]
            chosen.append(slots)
        return Allowed([len(segment) for segment in self.segments], chosen)

    def documents_by_tenant(self, txn: ReadTransaction) -> Counter[int]:
        """The number of live documents of each tenant, by its number."""
        counts: Counter[int] = Counter()
        for segment, live in zip(self.segments, self.live, strict=True):
            if live is not None and segment.order is not None:
                live = live[segment.order]
            own = segment.tenants(txn)
            pairs = zip(own.numbers.tolist(), own.counts(live).tolist(), strict=True)
            counts.update(dict(pairs))
        return counts

    def open_vectors(self, txn: ReadTransaction) -> StateVectors:
        """The vectors of all segments, opened once."""
        return self._vectors or shield.run(lambda: self._opened(txn))

    def _opened(self, txn: ReadTransaction) -> StateVectors:
        with self._lock:
            if self._vectors is None:
                segments = tuple(segment.open_vectors(txn) for segment in self.segments)
                views = core.SegmentList([segment.view for segment in segments])
                self._vectors = StateVectors(segments, views)
            return self._vectors

    def open_words(self, txn: ReadTransaction) -> StateTerms:
        """The term indexes of the texts of all segments, opened once."""
        return self._words or shield.run(lambda: self._opened_words(txn))

    def _opened_words(self, txn: ReadTransaction) -> StateTerms:
        with self._lock:
            if self._words is None:
                self._words = self._terms([one.words(txn) for one in self.segments])
            return self._words

    def open_weights(self, txn: ReadTransaction) -> StateTerms:
        """The term indexes of the learned weights of all segments, opened once."""
        return self._weights or shield.run(lambda: self._opened_weights(txn))

    def _opened_weights(self, txn: ReadTransaction) -> StateTerms:
        with self._lock:
            if self._weights is None:
                self._weights = self._terms([one.weights(txn) for one in self.segments])
            return self._weights

    def _terms(self, opened: Sequence[TermIndex | None]) -> StateTerms:
        pairs = [(i, index) for i, index in enumerate(opened) if index is not None]
        return StateTerms(
            tuple(i for i, _ in pairs),
            tuple(index for _, index in pairs),
            core.TermList([index.view for _, index in pairs]),
            core.Bitmaps([self.live[i] for i, _ in pairs]),
        )

    @property
    def codebook(self) -> codebooks.Codebook | None:
        """The present codebook; None before training, and if no segment needs its centroids."""
        return self.codebooks[0] if self.codebooks else None

    def find(self, txn: ReadTransaction, key: bytes) -> DocumentRow | None:
        """The live document with the key of an id, or None."""
        number = id_table.get(txn, key)
        return None if number is None else self.locate(number)

    def locate(self, number: int) -> DocumentRow | None:
        """The live document with a number, or None."""
        at = bisect.bisect_right(self._firsts, number) - 1
        if at < 0:
            return None
        numbers = self.segments[at].directory.numbers
        row = int(np.searchsorted(numbers, np.uint64(number)))
        if row == len(numbers) or int(numbers[row]) != number:
            return None
        live = self.live[at]
        return DocumentRow(at, Row(row)) if live is None or live[row] else None

    def locate_all(self, numbers: Sequence[int]) -> list[DocumentRow | None]:
        """`locate` for many numbers."""
        wanted = np.array(numbers, np.uint64)
        found: list[DocumentRow | None] = [None] * len(numbers)
        segments = np.searchsorted(np.array(self._firsts, np.uint64), wanted, "right") - 1
        for index in np.unique(segments[segments >= 0]).tolist():
            stored, live = self.segments[index].directory.numbers, self.live[index]
            at = np.flatnonzero(segments == index)
            rows = np.minimum(np.searchsorted(stored, wanted[at]), len(stored) - 1)
            is_there = stored[rows] == wanted[at]
            if live is not None:
                is_there &= live[rows]
            for i, row in zip(at[is_there].tolist(), rows[is_there].tolist(), strict=True):
                found[i] = DocumentRow(index, Row(row))
        return found


def open_state(
    txn: ReadTransaction,
    current: Manifest,
    stored: Settings,
    previous: State | None,
    volatile_from: int | None = None,
) -> State:
    """The state of a manifest; takes over segments that the previous state has opened.

    volatile_from: segments of this number and above were written by this transaction, so LMDB may
    move their pages."""
    manifest.check_generation(current, stored)
    known: dict[int, tuple[Segment, Live | None, int]] = {}
    open_codebooks = _Codebooks(txn, stored, [] if previous is None else previous.codebooks)
    if previous is not None:
        triples = zip(previous.manifest.segments, previous.segments, previous.live, strict=True)
        known = {info.id: (segment, live, info.n_deleted) for info, segment, live in triples}
    if any(info.generation != FLOAT16 for info in current.segments):
        open_codebooks.of(current.generation)  # may extend the others
    segments: list[Segment] = []
    lives: list[Live | None] = []
    for info in current.segments:
        of_segment = open_codebooks.of(info.generation)
        if info.id in known:
            segment, live, n_deleted = known[info.id]
            if of_segment is not None and segment.codec is not of_segment.codec:
                segment = segment.extended(of_segment.codec)
        else:
            volatile = volatile_from is not None and info.id >= volatile_from
            segment = open_segment(txn, info, of_segment, stored.dim, volatile=volatile)
            live, n_deleted = None, -1
        segments.append(segment)
        # Deletions only ever grow, so the same number of them is the same set.
        lives.append(live if n_deleted == info.n_deleted else tombstones.load(txn, info))
    return State(
        current, segments, lives, open_codebooks.found, lexical_identity.load_for(txn, current)
    )


def open_segment(
    txn: Values,
    info: SegmentInfo,
    codebook: codebooks.Codebook | None,
    dim: int,
    *,
    volatile: bool = False,
) -> Segment:
    """A segment encoded by the codebook or by one that it extends; None: float16 vectors."""
    if codebook is None:
        return Segment(txn, info, None, 0, dim, volatile=volatile)
    n_centroids = codebook.sizes[info.generation]
    return Segment(txn, info, codebook.codec, n_centroids, dim, volatile=volatile)


class _Codebooks:
    """Codebooks, each loaded at its first use or taken from an earlier state."""

    def __init__(
        self, txn: ReadTransaction, stored: Settings, earlier: Sequence[codebooks.Codebook]
    ) -> None:
        self._load = partial(codebooks.load, txn, dim=stored.dim, bits=stored.bits)
        self._earlier = {number: codebook for codebook in earlier for number in codebook.sizes}
        self._by_generation: dict[int, codebooks.Codebook] = {}
        self.found: list[codebooks.Codebook] = []

    def of(self, generation: int) -> codebooks.Codebook | None:
        """The codebook that decodes vectors of a codebook number; None for float16. A number stays
        with the codebook that had it first."""
        if generation == FLOAT16:
            return None
        if generation not in self._by_generation:
            known = self._earlier.get(generation)
            codebook = self._load(generation) if known is None else known
            self.found.append(codebook)
            for number in codebook.sizes:
                self._by_generation.setdefault(number, codebook)
        return self._by_generation[generation]
