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
from mvdb.lexical import tokeniser
from mvdb.lexical.query_language import TextQuery
from mvdb.search.allowed import matching
from mvdb.search.found import Found, Ranking, Rows, at_least, kth_score
from mvdb.search.options import SearchOptions
from mvdb.search.profile_collector import Collector
from mvdb.search.term_ranking import GROWTH, SPARE, AllowedRows, BestRows, Places, TermRanking
from mvdb.search.word_plan import WordPlan
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction

FIRST_RANKED = 1 << 14
"""Rows that are ranked by the scores of their words before texts are read."""
FIRST_TEXTS = 16
"""Texts that are read before their scores are compared with the bounds of the others, or k."""
ROUNDING = 1e-5
"""Relative difference of a bound and a score that come from different sums."""


def check(state: State) -> None:
    """InvalidInputError unless all texts of a state are indexed by their words."""
    reason = fault(state)
    if reason is not None:
        raise InvalidInputError(reason)


def fault(state: State) -> str | None:
    """Why a state cannot be searched by words; None if it can."""
    lexical = state.lexical
    if not lexical.on:
        return (
            "words cannot be searched: the file has no lexical index; make one with "
            "optimize(lexical=True). Or give vectors, or an encoder to mvdb.open(encoder=...)"
        )
    if lexical.fault is not None:
        return f"words cannot be searched: {lexical.fault}"
    if not all(map(lexical.is_current, state.manifest.segments)):
        return (
            "words cannot be searched: the lexical index is not complete; optimize() goes on with "
            "it"
        )
    return None


def _may_enter(best: BestRows, bounds: core.Floats, k: int) -> NDArray[np.bool_]:
    """Whether rows of these upper bounds may be among the best k, or tie with the k-th."""
    if len(best.scores) < k:
        return np.ones(len(bounds), np.bool_)
    return bounds >= kth_score(best.scores, k) * (1 - ROUNDING)


@dataclass(frozen=True)
class Evidence:
    """Per document: whether it has all phrases and none of the excluded ones; its lexical score;
    the part of it that comes from exact terms and phrases; its score without emphasis."""

    qualifies: NDArray[np.bool_]
    lexical: core.Floats
    exact: core.Floats
    plain: core.Floats

    def of(self, kept: NDArray[np.bool_]) -> Evidence:
        """The same of some documents."""
        return Evidence(
            self.qualifies[kept], self.lexical[kept], self.exact[kept], self.plain[kept]
        )


class LexicalSearch:
    """One query of words over one state. REQUIRES: `check`."""

    def __init__(
        self,
        state: State,
        txn: ReadTransaction,
        query: TextQuery,
        visible: Allowed,
        collector: Collector,
        *,
        emphasis: float = 1.0,
    ) -> None:
        """visible: all documents that the call may find. emphasis: the factor of exact evidence,
        see `WordPlan`."""
        self._state = state
        self._txn = txn
        self._collector = collector
        self._words = state.open_words(txn)
        self._rows = TermRanking(state, self._words, collector, "words")
        fields = [one for one in query.fields if self._has_field(one.path, visible)]
        self._filter = replace(query, fields=tuple(fields)).filter
        # Where no document has such a field, some may have the words.
        others = [word for one in query.fields if one not in fields for word in one.words]
        with collector.stage("terms"):
            clauses = (*query.clauses, *others)
            self._plan = WordPlan(clauses, self._words.indexes, state.lexical, emphasis)

    def best(self, allowed: Allowed, options: SearchOptions) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""
        rows, scores = self.ranking(self.restricted(allowed), options.k)
        found = Ranking(rows, scores, lexical=scores).best(self._state, self._txn, options.k)
        return at_least(found, options.min_score)

    def restricted(self, allowed: Allowed) -> Allowed:
        """The allowed documents that have what must be there and nothing that must not, but for
        phrases; fields included."""
        if self._filter is not None:
            allowed = matching(self._txn, self._state, language.parse(self._filter), allowed)
        if not self._plan.restricts:
            return allowed
        masks = [np.full(len(one), self._plan.admits_wordless) for one in self._state.segments]
        for i, index in zip(self._words.segments, self._words.indexes, strict=True):
            segment = self._state.segments[i]
            mask = self._plan.mask(index)
            masks[i] = mask if segment.order is None else mask[segment.order]
        return allowed.restricted(masks)

    @property
    def drops(self) -> bool:
        """Whether documents outside `ranking` may fail to qualify although they are `restricted`,
        and others qualify: phrases must not be there, and none must."""
        return bool(self._plan.excluded_phrases) and not self._plan.phrases

    def ranking(
        self, allowed: Allowed, k: int, *, with_ties: bool = True
    ) -> tuple[Rows, core.Floats]:
        """The best k documents that have words of the query, in no order. with_ties: and all whose
        score is that of the k-th. REQUIRES: `restricted`."""
        plan = self._plan
        if plan.bound is None or not allowed.total:
            return np.empty(0, core.PLACE), np.empty(0, np.float32)
        among = self._rows.among(allowed)
        if plan.verifies:
            ranking = self._verified(plan.bound, among, k)
        else:
            ranking = self._rows.best(plan.bound, among, k, with_ties=with_ties)
        best = ranking.scores >= kth_score(ranking.scores, k)
        return self._rows.rows(ranking.places[best]), ranking.scores[best]

    def evidence(self, rows: Rows) -> Evidence:
        """What some documents have of the query. REQUIRES: `restricted`."""
        plan, terms = self._plan, self._words.terms
        places, has_words = self._rows.places(rows)
        qualifies = np.ones(len(rows), np.bool_)
        lexical, exact, plain = np.zeros((3, len(rows)), np.float32)
        with self._collector.stage("words"):
            for scores, query in ((lexical, plan.words), (exact, plan.exact), (plain, plan.plain)):
                if query is not None:
                    scores[has_words] = query.score(terms, places)
        if plan.verifies:
            has, phrases = self._phrases(places)
            qualifies[has_words] = has
            qualifies[~has_words] = not plan.phrases
            plain[has_words] += phrases
            for scores in (lexical, exact):
                scores[has_words] += plan.emphasis * phrases
        return Evidence(qualifies, lexical, exact, plain)

    def contributions(self, document: DocumentRow) -> dict[str, float]:
        """What each word and phrase that a document has adds to its score."""
        places, has_words = self._rows.places(np.array([document], core.PLACE))
        if not has_words[0]:
            return {}
        scores = self._plan.each(self._words.terms, places)
        if self._plan.phrases:
            texts, lengths = self._texts(places), self._lengths(places)
            for phrase in self._plan.phrases:
                score = float(self._plan.phrase_scores(phrase, phrase.counts(texts), lengths)[0])
                if score > 0:
                    name = b" ".join(phrase.words).decode("utf-8", "replace")
                    scores[f'"{name}"'] = score
        return scores

    def _has_field(self, path: str, visible: Allowed) -> bool:
        return matching(self._txn, self._state, language.Exists(path), visible).total > 0

    # ---- phrases ----

    def _verified(self, bound: core.TermQuery, among: AllowedRows, k: int) -> BestRows:
        """The best k of the rows that have all phrases and none of the excluded ones, with all
        of the same score as the k-th, and others."""
        best = BestRows(np.empty(0, core.PLACE), np.empty(0, np.float32), True)
        seen, wanted = 0, max(FIRST_RANKED, k + SPARE)
        while True:
            ranking = self._rows.top(bound, among, wanted)
            best = self._read(ranking.places[seen:], best, k)
            seen = len(ranking.places)
            if (
                ranking.is_all
                or seen == among.total
                or not _may_enter(best, ranking.scores[-1:], k).any()
            ):
                return best
            wanted *= GROWTH

    def _read(self, places: Places, best: BestRows, k: int) -> BestRows:
        """The best rows so far with those of `places` that may be among the best k."""
        bounds = self._bounds(places)
        order = np.argsort(-bounds, kind="stable")
        at, step = 0, max(k, FIRST_TEXTS)
        while at < len(order):
            chunk = order[at : at + step]
            chunk = chunk[_may_enter(best, bounds[chunk], k)]
            if len(chunk) == 0:
                break
            own, scores = self._with_phrases(places[chunk])
            all_scores = np.concatenate([best.scores, scores])
            best = BestRows(np.concatenate([best.places, own]), all_scores, False)
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
        has, scores = self._phrases(places)
        places, scores = places[has], self._plan.emphasis * scores[has]
        if self._plan.words is not None:
            scores = scores + self._plan.words.score(self._words.terms, places)
        return places, scores.astype(np.float32)

    def _phrases(self, places: Places) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether rows have all phrases and none of the excluded ones, and the scores of the
        phrases without emphasis."""
        plan = self._plan
        with self._collector.stage("phrases"):
            texts = self._texts(places)
            has = np.ones(len(places), np.bool_)
            scores = np.zeros(len(places))
            lengths = self._lengths(places)
            for phrase in plan.phrases:
                counts = phrase.counts(texts)
                has &= counts > 0
                scores += plan.phrase_scores(phrase, counts, lengths)
            for phrase in plan.excluded_phrases:
                has &= phrase.counts(texts) == 0
            self._collector.read_texts(len(texts))
        return has, scores

    def _texts(self, places: Places) -> list[bytes]:
        """The folded texts of rows."""
        texts = [b""] * len(places)
        for i in np.unique(places["segment"]).tolist():
            own = np.flatnonzero(places["segment"] == i)
            own = own[np.argsort(places["document"][own])]
            segment = self._state.segments[self._words.segments[i]]
            stored = segment.rows_stored(self._txn, places["document"][own])
            lengths = self._lengths(places[own]).tolist()
            for at, length, (row, (text, _)) in zip(own.tolist(), lengths, stored, strict=True):
                if text is None and length == 0:
                    continue
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
