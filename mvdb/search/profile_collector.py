"""Figures of a search: dropped by `Collector`, kept in a `Profile` by `ProfileCollector`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

from mvdb import core
from mvdb.search.prefetch import Fetches, Slots
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import StateVectors
from mvdb.types import Profile

_NOTHING = nullcontext()


class Collector:
    """Keeps nothing."""

    by_stage = False
    """Whether a search stops after each stage."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage, for the length of the block; the times of a repeated stage add up."""
        return _NOTHING

    def begun(self, mode: str) -> None:
        """A search begins."""

    def read_texts(self, count: int) -> None:
        """Phrases were looked for in so many texts."""

    def fused(self, found_by_words: int, weight: float | None) -> None:
        """Both sides were joined: documents that the words alone have found."""

    def planned(self, plan: str, costs: Mapping[str, float]) -> None:
        """The plan that was chosen, and the estimated seconds of all."""

    def fell_back(self, plan: str) -> None:
        """`plan` follows, because the lists held too few allowed documents."""

    def passed(self, vectors: StateVectors, progress: core.Progress) -> None:
        """A stage is done."""

    def prefetched(self, slots: Slots) -> None:
        """The records of these documents were prefetched before all lists were read."""

    def scanned(self, vectors: StateVectors, allowed: Allowed, ways: bytes) -> None:
        """All codes of allowed documents were read, of the segments where this is the way."""

    def searched(self, progress: core.Progress) -> None:
        """All stages are done."""

    def scored(self, documents: int) -> None:
        """Other documents were scored by their stored vectors."""

    def ended(self, fetches: Fetches) -> None:
        """The search is done."""


class ProfileCollector(Collector):
    """Keeps everything."""

    by_stage = True

    def __init__(self) -> None:
        self.profile = Profile()
        self._early = np.empty(0, core.PLACE)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        stages = self.profile.stages
        stages[name] = stages.get(name, 0.0) + time.perf_counter() - begin

    def begun(self, mode: str) -> None:
        self.profile.mode = mode

    def read_texts(self, count: int) -> None:
        self.profile.texts += count

    def fused(self, found_by_words: int, weight: float | None) -> None:
        self.profile.found_by_words += found_by_words
        self.profile.lexical_weight = weight

    def planned(self, plan: str, costs: Mapping[str, float]) -> None:
        self.profile.plan = plan
        self.profile.costs = dict(costs)

    def fell_back(self, plan: str) -> None:
        self.profile.fallback = plan

    def passed(self, vectors: StateVectors, progress: core.Progress) -> None:
        if progress.stage == "gather":
            self.profile.lists += len(np.unique(progress.probes["list"]))
        elif progress.stage == "interact":
            for segment, slot in np.setdiff1d(self._early, progress.places).tolist():
                self.profile.wasted_bytes += vectors.segments[segment].record_bytes(slot)
            self._early = np.intersect1d(self._early, progress.places)

    def prefetched(self, slots: Slots) -> None:
        self._early = np.concatenate([self._early, slots])

    def scanned(self, vectors: StateVectors, allowed: Allowed, ways: bytes) -> None:
        for i, way in enumerate(ways):
            if way != core.BY_CODES:
                continue
            lengths = np.diff(vectors.segments[i].directory.starts)
            self.profile.postings += int(lengths[allowed.slots(i)].sum())

    def searched(self, progress: core.Progress) -> None:
        self.profile.postings += progress.postings
        self.profile.candidates += progress.documents

    def scored(self, documents: int) -> None:
        self.profile.candidates += documents

    def ended(self, fetches: Fetches) -> None:
        self.profile.reads += fetches.reads
        self.profile.bytes_read += fetches.bytes
        self.profile.prefetched += fetches.prefetched
        if fetches.needed:
            self.profile.prefetch_hit_rate = fetches.hits / fetches.needed
