"""A query of words as the term indexes of a state answer it: terms with weights, phrases, and what
must or must not be there.

A prefix stands for the terms that begin so, at most MAX_EXPANSIONS of them, the most frequent ones.
They weigh alike, as if they were one term: else the rarest of them would count most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.lexical import bm25, phrases, tokeniser
from mvdb.lexical.query_language import Clause
from mvdb.lexical.term_index import TermIndex
from mvdb.search.fusion import term_factors
from mvdb.search.term_ranking import Places
from mvdb.state.lexical_identity import LexicalIdentity
from mvdb.state.tombstones import Live

MAX_EXPANSIONS = 256
MAX_LISTED = 4096
"""Terms with a prefix that are looked at, by segment, in the order of their bytes."""

Weights = defaultdict[bytes, float]
"""Of terms: the sum of their idf over the clauses that have them."""
Condition = Callable[[TermIndex], Live]
"""The rows of a term index for which something holds."""


@dataclass(frozen=True)
class Phrase:
    """Consecutive words. terms: the same, as they are filed. weight: the sum of their idf."""

    words: tuple[bytes, ...]
    terms: tuple[bytes, ...]
    weight: float

    def counts(self, folded: Sequence[bytes]) -> core.Numbers:
        """How often each folded text has the phrase."""
        return phrases.counts(self.words, folded)


class WordPlan:
    """Immutable, once made.

    bound: all terms, those of phrases included, so that scores are upper bounds; None without
    terms. words: those of no phrase; None without any. exact: those that are exact evidence, with
    the same weights; None without any. plain: all of `words` and the parts that do not count there,
    without emphasis; None without any. phrases: they must all be there. excluded_phrases: none of
    them may be."""

    def __init__(
        self,
        clauses: Iterable[Clause],
        indexes: Sequence[TermIndex],
        lexical: LexicalIdentity,
        emphasis: float = 1.0,
    ) -> None:
        """emphasis: factor of exact evidence. Other than 1, parts of an identifier that some
        document has whole do not count either (fusion.py has the rule)."""
        self.emphasis = emphasis
        self._exact: Weights = defaultdict(float)
        self._plain: Weights = defaultdict(float)
        self._indexes = indexes
        self._lexical = lexical
        self._stem = None if lexical.stemmer is None else tokeniser.stemmer(lexical.stemmer)
        self._statistics = bm25.Statistics.of(indexes)
        self._required: list[Condition] = []
        self._excluded: list[Condition] = []
        self.phrases: list[Phrase] = []
        self.excluded_phrases: list[Phrase] = []
        weights: Weights = defaultdict(float)
        for clause in clauses:
            self._add(clause, weights)
        self.words = self._query(weights) if weights else None
        self.plain = self._query(self._plain) if self._plain else None
        self.exact = self._query(self._exact) if self._exact else None
        for phrase in self.phrases:
            for term, idf in zip(phrase.terms, self._idf(phrase.terms).tolist(), strict=True):
                weights[term] += emphasis * idf
        self.bound = self._query(weights) if weights else None

    @property
    def restricts(self) -> bool:
        """Whether there are conditions on rows."""
        return bool(self._required or self._excluded)

    @property
    def verifies(self) -> bool:
        """Whether there are phrases, which texts are read for."""
        return bool(self.phrases or self.excluded_phrases)

    @property
    def admits_wordless(self) -> bool:
        """Whether a document without words meets the conditions."""
        return not self._required

    def mask(self, index: TermIndex) -> Live:
        """The rows that meet the conditions."""
        mask = np.ones(index.n_rows, np.bool_)
        for condition in self._required:
            mask &= condition(index)
        for condition in self._excluded:
            mask &= ~condition(index)
        return mask

    def phrase_scores(
        self, phrase: Phrase, counts: core.Numbers, lengths: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The scores of a phrase that rows of these lengths have so often, without emphasis."""
        k1, b = self._lexical.k1, self._lexical.b
        norms = k1 * (1 - b + b * lengths / self._statistics.average)
        return phrase.weight * counts / np.maximum(counts + norms, 1e-9)

    def phrase_bounds(self, phrase: Phrase, terms: core.TermList, places: Places) -> core.Floats:
        """Upper bounds of the scores of a phrase: no row has it more often than any of its
        words."""
        each = [
            self._query({term: 1.0}).score(terms, places) for term in dict.fromkeys(phrase.terms)
        ]
        bounds: core.Floats = np.float32(self.emphasis * phrase.weight) * np.min(each, axis=0)
        return bounds

    def each(self, terms: core.TermList, places: Places) -> dict[str, float]:
        """The score of each word that the row has, words as they are filed, without emphasis.
        places: of one row."""
        scores = {
            term.decode("utf-8", "replace"): float(
                self._query({term: weight}).score(terms, places)[0]
            )
            for term, weight in self._plain.items()
        }
        return {term: score for term, score in scores.items() if score > 0}

    # ---- clauses ----

    def _add(self, clause: Clause, weights: Weights) -> None:
        if clause.kind == "prefix":
            self._add_prefix(clause, weights)
        elif clause.kind == "phrase":
            self._add_phrase(clause, weights)
        else:
            self._add_word(clause, weights)

    def _add_word(self, clause: Clause, weights: Weights) -> None:
        """All terms of a word score, its parts included; it is there where its first term is."""
        terms = self._filed(clause.terms)
        if clause.sign == "-":
            self._excluded.append(_has(terms[:1]))
            return
        if clause.sign == "+":
            self._required.append(_has(terms[:1]))
        exact = np.zeros(len(terms), np.bool_)
        exact[0] = clause.is_exact
        counts = self._frequencies(terms)
        implied = ~exact & (clause.is_exact and counts[0] > 0)
        if self.emphasis != 1.0:
            factors = term_factors(exact, implied, self.emphasis)
        else:
            factors = np.ones(len(terms), np.float32)
        idf = bm25.inverse_frequencies(self._statistics.n_rows, counts)
        for term, is_exact, plain, weight in zip(
            terms, exact.tolist(), idf.tolist(), (factors * idf).tolist(), strict=True
        ):
            self._plain[term] += plain
            if weight > 0:
                weights[term] += weight
                if is_exact:
                    self._exact[term] += weight

    def _add_prefix(self, clause: Clause, weights: Weights) -> None:
        counts: Counter[bytes] = Counter()
        for index in self._indexes:
            counts.update(dict(index.prefixed(clause.terms[0], MAX_LISTED)))
        terms = [term for term, _ in counts.most_common(MAX_EXPANSIONS)]
        if clause.sign == "-":
            self._excluded.append(_has_any(terms))
            return
        if clause.sign == "+":
            self._required.append(_has_any(terms))
        n_rows = self._statistics.n_rows
        frequency = min(n_rows, sum(counts[term] for term in terms))
        idf = float(bm25.inverse_frequencies(n_rows, np.array([frequency]))[0])
        weight = self.emphasis * idf if clause.is_exact else idf
        for term in terms:
            self._plain[term] += idf
            weights[term] += weight
            if clause.is_exact:
                self._exact[term] += weight

    def _add_phrase(self, clause: Clause, weights: Weights) -> None:
        """A phrase of one word is that word, unless words are filed by their stems."""
        if len(clause.terms) == 1 and self._stem is None:
            self._add_word(replace(clause, sign=clause.sign or "+"), weights)
            return
        terms = self._filed(clause.terms)
        phrase = Phrase(clause.terms, terms, float(self._idf(terms).sum()))
        if clause.sign == "-":
            self.excluded_phrases.append(phrase)
            return
        self.phrases.append(phrase)
        self._required.append(_has(sorted(set(phrase.terms))))

    # ---- terms ----

    def _filed(self, terms: Sequence[bytes]) -> tuple[bytes, ...]:
        """The terms under which these are filed."""
        return tuple(terms) if self._stem is None else tuple(self._stem(list(terms)))

    def _idf(self, terms: Sequence[bytes]) -> NDArray[np.float64]:
        return bm25.inverse_frequencies(self._statistics.n_rows, self._frequencies(terms))

    def _frequencies(self, terms: Sequence[bytes]) -> NDArray[np.int64]:
        """How many rows have each term."""
        names = core.TermNames(terms)
        counts = np.zeros(names.n, np.int64)
        for index in self._indexes:
            counts += index.frequencies(names)
        return counts

    def _query(self, weights: Mapping[bytes, float]) -> core.TermQuery:
        return core.TermQuery(
            core.TermNames(list(weights)),
            np.fromiter(weights.values(), np.float32, len(weights)),
            k1=self._lexical.k1,
            b=self._lexical.b,
            average=self._statistics.average,
        )


def _has(terms: Iterable[bytes]) -> Condition:
    names = core.TermNames(list(terms))
    return lambda index: index.containing(names)


def _has_any(terms: Iterable[bytes]) -> Condition:
    each = [_has([term]) for term in terms]

    def condition(index: TermIndex) -> Live:
        mask = np.zeros(index.n_rows, np.bool_)
        for one in each:
            mask |= one(index)
        return mask

    return condition
