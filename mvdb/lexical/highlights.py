"""Where the words of a query stand in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mvdb.lexical.phrases import places
from mvdb.lexical.query_language import Clause, TextQuery
from mvdb.lexical.tokeniser import PART, Stem, fold_with_offsets, folded_terms


class Highlight(NamedTuple):
    """A range of characters of a text, and how much it says: the idf of its term."""

    first: int
    last: int
    weight: float


def highlights(
    text: str, query: TextQuery, idf: Callable[[bytes], float], stem: Stem | None = None
) -> list[Highlight]:
    """The ranges of `text` that the clauses of a query name, in order and apart from each other.

    A phrase is one range, whose weight is the sum of its terms'; a whole identifier covers its
    parts; ranges that overlap become one of the greater weight. Clauses of what must not be there
    name nothing.

    Args:
        text: as it was stored.
        query: from `query_language.parse`.
        idf: weight of a term, UTF-8, as it is filed; asked once for each term that occurs.
        stem: the stemmer of the term index, if it has one.
    """
    folded, offsets = fold_with_offsets(text)
    found: list[Highlight] = []
    for one in _merged(_Wanted(query, idf, stem).ranges(folded_terms(folded))):
        last = one.last
        while last < len(folded) and offsets[last] == offsets[last - 1]:
            last += 1  # the rest of a character that became several
        found.append(Highlight(offsets[one.first], offsets[last], one.weight))
    return found


class _Wanted:
    """The clauses of a query, ready to meet tokens."""

    def __init__(self, query: TextQuery, idf: Callable[[bytes], float], stem: Stem | None) -> None:
        clauses = [clause for clause in query.clauses if clause.sign != "-"]
        self._idf = idf
        self._stem = stem
        self._weights: dict[bytes, float] = {}
        self._words = set(self._filed(_terms(clauses, "word")))
        self._prefixes = tuple(_terms(clauses, "prefix"))
        self._phrases = [clause.terms for clause in clauses if clause.kind == "phrase"]

    def ranges(self, tokens: list[tuple[bytes, int, int, int]]) -> Iterator[Highlight]:
        """In folded characters, in no order. tokens: as `folded_terms` gives them."""
        terms = [token[0] for token in tokens]
        words, prefixes = self._words, self._prefixes
        for at, filed in enumerate(self._filed(terms)):
            if filed in words or (prefixes and terms[at].startswith(prefixes)):
                yield Highlight(*tokens[at][2:], self._weight(filed))
        if not self._phrases:
            return
        whole = [at for at, token in enumerate(tokens) if token[1] != PART]
        sequence = [terms[at] for at in whole]
        for phrase in self._phrases:
            weight = None
            for at in places(phrase, sequence):
                if weight is None:
                    weight = sum(map(self._weight, self._filed(list(phrase))))
                first, last = whole[at], whole[at + len(phrase) - 1]
                yield Highlight(tokens[first][2], tokens[last][3], weight)

    def _filed(self, terms: list[bytes]) -> list[bytes]:
        return terms if self._stem is None else self._stem(terms)

    def _weight(self, term: bytes) -> float:
        if term not in self._weights:
            self._weights[term] = float(self._idf(term))
        return self._weights[term]


def _terms(clauses: list[Clause], kind: str) -> list[bytes]:
    return [term for clause in clauses if clause.kind == kind for term in clause.terms]


def _merged(ranges: Iterator[Highlight]) -> Iterator[Highlight]:
    """Ranges in order, those that overlap as one."""
    last: Highlight | None = None
    for one in sorted(ranges, key=lambda one: (one.first, -one.last)):
        if last is None or one.first >= last.last:
            if last is not None:
                yield last
            last = one
        else:
            last = Highlight(last.first, max(last.last, one.last), max(last.weight, one.weight))
    if last is not None:
        yield last
