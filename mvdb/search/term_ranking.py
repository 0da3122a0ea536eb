"""The best rows of a state's term indexes, and the way between these rows and its documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.allowed import by_row
from mvdb.search.found import Rows
from mvdb.search.profile_collector import Collector
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import State, StateTerms

SPARE = 16
"""Rows asked for beyond k, so that most ties with the k-th are among them."""
LISTED = 256
"""Allowed rows up to which each is scored: 5 terms of 256 rows take as long as the best of
200,000."""
GROWTH = 8
"""Ratio of the rows asked for to those of the time before."""

Places = NDArray[np.void]
"""Rows by term index and row, dtype `core.PLACE`."""


@dataclass(frozen=True)
class BestRows:
    """Rows with their scores, or upper bounds. is_all: no other row qualifies."""

    places: Places
    scores: core.Floats
    is_all: bool


class AllowedRows:
    """Rows of term indexes that may be found. Few are listed and scored each: the time goes with
    their number, not with that of all rows that have the terms.

    total: their number, with those of segments without an index."""

    def __init__(self, terms: core.TermList, total: int, rows: Places | core.Bitmaps) -> None:
        self._terms = terms
        self._rows = rows
        self.total = total

    def top(self, query: core.TermQuery, limit: int) -> BestRows:
        """The best rows, at most `limit`, best first, ties by place."""
        if isinstance(self._rows, core.Bitmaps):
            places, scores = query.best(self._terms, self._rows, limit)
        else:
            places, scores = self._rows, query.score(self._terms, self._rows)
            keys = (places["document"], places["segment"], -scores)
            best = np.lexsort(keys)[: np.count_nonzero(scores)][:limit]
            places, scores = places[best], scores[best]
        return BestRows(places, scores, len(places) < limit)


class TermRanking:
    """Rows of one kind of term indexes. Used by one thread."""

    def __init__(self, state: State, terms: StateTerms, collector: Collector, stage: str) -> None:
        """stage: name of the time of ranking in a profile."""
        self._state = state
        self._terms = terms
        self._collector = collector
        self._stage = stage

    def among(self, allowed: Allowed) -> AllowedRows:
        """The allowed rows of the segments that have an index."""
        if allowed is self._state.everything:
            return AllowedRows(self._terms.terms, allowed.total, self._terms.live)
        with self._collector.stage(self._stage):
            if allowed.total <= LISTED:
                return AllowedRows(self._terms.terms, allowed.total, self._listed(allowed))
            masks = by_row(self._state, allowed)
            bitmaps = core.Bitmaps([masks[i] for i in self._terms.segments])
            return AllowedRows(self._terms.terms, allowed.total, bitmaps)

    def _listed(self, allowed: Allowed) -> Places:
        """The places of allowed documents."""
        parts = [np.empty(0, core.PLACE)]
        for at, index in enumerate(self._terms.segments):
            slots, order = allowed.slots(index), self._state.segments[index].order
            part = np.empty(len(slots), core.PLACE)
            part["segment"] = at
            part["document"] = slots if order is None else order[slots]
            parts.append(part)
        return np.concatenate(parts)

    def rows(self, places: Places) -> Rows:
        """Places as documents of the state."""
        rows: Rows = places.copy()
        rows["segment"] = np.array(self._terms.segments, np.uint32)[places["segment"]]
        return rows

    def places(self, rows: Rows) -> tuple[Places, NDArray[np.bool_]]:
        """The places of those documents whose segment has an index, and which these are."""
        index_of = np.full(len(self._state.segments), -1, np.int64)
        index_of[list(self._terms.segments)] = np.arange(len(self._terms.segments))
        indexes = index_of[rows["segment"]]
        has_terms = indexes >= 0
        places = rows[has_terms].copy()
        places["segment"] = indexes[has_terms]
        return places, has_terms

    def best(
        self, query: core.TermQuery, among: AllowedRows, k: int, *, with_ties: bool
    ) -> BestRows:
        """The best k rows. with_ties: and all whose score is that of the k-th."""
        wanted = k + SPARE if with_ties else k
        while True:
            ranking = self.top(query, among, wanted)
            scores = ranking.scores
            if (
                ranking.is_all
                or len(scores) == among.total
                or not with_ties
                or scores[-1] < scores[k - 1]
            ):
                return ranking
            wanted *= GROWTH

    def top(self, query: core.TermQuery, among: AllowedRows, limit: int) -> BestRows:
        """The best rows, at most `limit`, best first, ties by place."""
        with self._collector.stage(self._stage):
            return among.top(query, min(limit, among.total))
