"""Answers a query of words over a state: the documents with the greatest BM25, exactly.

1. The clauses become terms with weights, phrases, and terms that must or must not be there
   (word_plan.py).
2. Per segment a mask by row: what is allowed, has all that must be there and nothing that must not.
3. The core ranks the rows of all segments by their terms (csrc/lexical/term_best.c).
4. Phrases are verified in the stored texts. A phrase counts like a word: its idf is the sum of
   those of its words, its occurrences those of the phrase, so the score of its words is an upper
   bound. Rows are ranked by that bound; among some of them the least of the phrase's words gives a
   lower one. Texts are read, best bounds first, until the k-th score is above all other bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.errors import CorruptionError, InvalidInputError
from mvdb.filters import language
from mvdb.filters.evaluate import bitmap_of
from mvdb.lexical import tokeniser
from mvdb.lexical.query_language import TextQuery
from mvdb.search.allowed import by_row, matching
from mvdb.search.options import SearchOptions
from mvdb.search.profile_collector import Collector
from mvdb.search.search import Found, kth_score
from mvdb.search.word_plan import Places, WordPlan
from mvdb.segment.layout import Row
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction

SPARE = 16
"""Rows asked for beyond k, so that most ties with the k-th are among them."""
GROWTH = 8
"""Ratio of the rows asked for, and of texts read, to those of the time before. A block of texts is
unpacked once for all rows of it that are read together."""
FIRST_RANKED = 1 << 14
"""Rows that are ranked by the scores of their words before texts are read."""
FIRST_TEXTS = 16
"""Texts that are read before their scores are compared with the bounds of the others, or k."""
ROUNDING = 1e-5
"""Relative difference of a bound and a score that come from different sums."""


def check(state: State) -> None:
    """InvalidInputError unless all texts of a state are indexed by their words."""
    lexical = state.lexical
    if not lexical.on:
        raise InvalidInputError(
            "a query in words needs an encoder: give one to mvdb.open(encoder=...), or a lexical "
            "index: make one with optimize(lexical=True); or give vectors"
        )
    if lexical.fault is not None:
        raise InvalidInputError(f"words cannot be searched: {lexical.fault}")
    if not all(map(lexical.is_current, state.manifest.segments)):
        raise InvalidInputError(
            "words cannot be searched: the lexical index is not complete; optimize() goes on with "
            "it"
        )


@dataclass(frozen=True)
class _Ranking:
    """Rows with their scores or upper bounds. is_all: no other row qualifies."""

    places: Places
    scores: core.Floats
    is_all: bool

    def may_enter(self, bounds: core.Floats, k: int) -> NDArray[np.bool_]:
        """Whether rows of these upper bounds may be among the best k, or tie with the k-th."""
        if len(self.scores) < k:
            return np.ones(len(bounds), np.bool_)
        return bounds >= kth_score(self.scores, k) * (1 - ROUNDING)

    def joined(self, places: Places, scores: core.Floats) -> _Ranking:
        """Both, in no order."""
        return _Ranking(
            np.concatenate([self.places, places]), np.concatenate([self.scores, scores]), False
        )


class LexicalSearch:
    """One query of words over one state. REQUIRES: `check`."""

    def __init__(
        self, state: State, txn: ReadTransaction, query: TextQuery, collector: Collector
    ) -> None:
        self._state = state
        self._txn = txn
        self._collector = collector
        self._words = state.open_words(txn)
        fields = [one for one in query.fields if self._has_field(one.path)]
        self._filter = replace(query, fields=tuple(fields)).filter
        # A collection without such a field may have the words.
        others = [word for one in query.fields if one not in fields for word in one.words]
        with collector.stage("terms"):
            clauses = (*query.clauses, *others)
            self._plan = WordPlan(clauses, self._words.indexes, state.lexical)

    def best(self, allowed: Allowed, options: SearchOptions) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""
        plan = self._plan
        if self._filter is not None:
            allowed = matching(self._txn, self._state, language.parse(self._filter), allowed)
        if plan.bound is None or not allowed.total:
            return []
        with self._collector.stage("words"):
            bitmaps = self._bitmaps(allowed)
        if plan.phrases or plan.excluded_phrases:
            ranking = self._verified(plan.bound, bitmaps, allowed.total, options.k)
        else:
            ranking = self._ranked(plan.bound, bitmaps, allowed.total, options.k)
        found = self._found(ranking, options.k)
        least = options.min_score
        return found if least is None else [one for one in found if one.score >= least]

    def _has_field(self, path: str) -> bool:
        node, txn = language.Exists(path), self._txn
        return any(
            bitmap_of(node, segment.columns(txn), segment.order).any()
            for segment in self._state.segments
        )

    def _bitmaps(self, allowed: Allowed) -> core.Bitmaps:
        """The rows that qualify, as far as term indexes tell."""
        plan, everything = self._plan, allowed is self._state.everything
        if everything and not plan.restricts:
            return self._words.live
        masks = by_row(self._state, allowed)
        return core.Bitmaps(
            [
                _both(masks[i], plan.mask(index))
                for i, index in zip(self._words.segments, self._words.indexes, strict=True)
            ]
        )

    # ---- ranking ----

    def _ranked(self, query: core.TermQuery, bitmaps: core.Bitmaps, total: int, k: int) -> _Ranking:
        """The best k of `total` rows, with all whose score is that of the k-th."""
        wanted = k + SPARE
        while True:
            ranking = self._top(query, bitmaps, min(wanted, total))
            scores = ranking.scores
            if ranking.is_all or len(scores) == total or scores[-1] < scores[k - 1]:
                return ranking
            wanted *= GROWTH

    def _top(self, query: core.TermQuery, bitmaps: core.Bitmaps, limit: int) -> _Ranking:
        with self._collector.stage("words"):
            places, scores = query.best(self._words.terms, bitmaps, limit)
        return _Ranking(places, scores, len(places) < limit)

    def _found(self, ranking: _Ranking, k: int) -> list[Found]:
        """The best k, ties by id."""
        best = ranking.scores >= kth_score(ranking.scores, k)
        places, scores = ranking.places[best], ranking.scores[best]
        found = []
        for document, score in zip(self._documents(places), scores.tolist(), strict=True):
            key = self._state.segments[document.segment].key(self._txn, document.row)
            found.append(Found(document, key, score))
        found.sort(key=lambda one: (-one.score, one.key))
        return found[:k]

    def _documents(self, places: Places) -> list[DocumentRow]:
        segments = self._words.segments
        return [DocumentRow(segments[i], Row(row)) for i, row in places.tolist()]

    # ---- phrases ----

    def _verified(
        self, bound: core.TermQuery, bitmaps: core.Bitmaps, total: int, k: int
    ) -> _Ranking:
        """The best k of `total` rows that have all phrases and none of the excluded ones, with all
        of the same score as the k-th, and others."""
        best = _Ranking(np.empty(0, core.PLACE), np.empty(0, np.float32), True)
        seen, wanted = 0, max(FIRST_RANKED, k + SPARE)
        while True:
            ranking = self._top(bound, bitmaps, min(wanted, total))
            best = self._read(ranking.places[seen:], best, k)
            seen = len(ranking.places)
            if ranking.is_all or seen == total or not best.may_enter(ranking.scores[-1:], k).any():
                return best
            wanted *= GROWTH

    def _read(self, places: Places, best: _Ranking, k: int) -> _Ranking:
        """The best rows so far with those of `places` that may be among the best k."""
        bounds = self._bounds(places)
        order = np.argsort(-bounds, kind="stable")
        at, step = 0, max(k, FIRST_TEXTS)
        while at < len(order):
            chunk = order[at : at + step]
            chunk = chunk[best.may_enter(bounds[chunk], k)]
            if len(chunk) == 0:
                break
            best = best.joined(*self._with_phrases(places[chunk]))
            at, step = at + step, GROWTH * step
        return best

    def _bounds(self, places: Places) -> core.Floats:
        """Upper bounds of the scores of rows."""
        plan, terms = self._plan, self._words.terms
        with self._collector.stage("phrases"):
            bounds = np.zeros(len(places), np.float32)
            if plan.words is not None:
                bounds += plan.words.score(terms, places)
            for phrase in plan.phrases:
                bounds += plan.phrase_bounds(phrase, terms, places)
            return bounds

    def _with_phrases(self, places: Places) -> tuple[Places, core.Floats]:
        """Those of the rows that qualify by their texts, and their scores."""
        plan = self._plan
        with self._collector.stage("phrases"):
            texts = self._texts(places)
            counts = [phrase.counts(texts) for phrase in plan.phrases]
            has = np.ones(len(places), np.bool_)
            for own in counts:
                has &= own > 0
            for phrase in plan.excluded_phrases:
                has &= phrase.counts(texts) == 0
            self._collector.read_texts(len(texts))
            places = places[has]
            scores = np.zeros(len(places))
            if plan.words is not None:
                scores += plan.words.score(self._words.terms, places)
            lengths = self._lengths(places)
            for phrase, own in zip(plan.phrases, counts, strict=True):
                scores += plan.phrase_scores(phrase, own[has], lengths)
        return places, scores.astype(np.float32)

    def _texts(self, places: Places) -> list[bytes]:
        """The folded texts of rows."""
        texts = [b""] * len(places)
        for i in np.unique(places["segment"]).tolist():
            own = np.flatnonzero(places["segment"] == i)
            own = own[np.argsort(places["document"][own])]
            segment = self._state.segments[self._words.segments[i]]
            stored = segment.rows_stored(self._txn, places["document"][own])
            for at, (row, (text, _)) in zip(own.tolist(), stored, strict=True):
                if text is None:
                    raise CorruptionError(
                        f"segment {segment.id}: row {row} has words but no text; run verify()"
                    )
                texts[at] = tokeniser.fold_stored(text)
        return texts

    def _lengths(self, places: Places) -> NDArray[np.float64]:
        """Tokens of rows."""
        lengths = np.zeros(len(places))
        for i, index in enumerate(self._words.indexes):
            own = places["segment"] == i
            assert index.lengths is not None  # an index of words
            lengths[own] = index.lengths[places["document"][own]]
        return lengths


def _both(mask: Live | None, other: Live | None) -> Live | None:
    if mask is None or other is None:
        return other if mask is None else mask
    return mask & other
