"""The words of a passage that made its score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+(?:['’-]\w+)*")  # noqa: RUF001 - the apostrophe of typesetting

_LIKE = 0.5  # minimum dot product; below it stands the chance likeness of any two tokens
_MOST = 12  # marked words per passage: few words of a query match really

# Words without a meaning of their own match everywhere.
_EMPTY_WORDS = """
    a about all also an and any are as at be been but by can could did do does for from had has have
    how i if in into is it its may me my no not of on only or our so such than that the their them
    then there these they this those to up was we were what when where which who why will with would
    you your
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())


@dataclass(frozen=True)
class Match:
    """A word of the query, a phrase, or a word that a query token matched best.

    Attributes:
        start, end: its characters in the text.
        score: four decimals; of a word of the query its idf, of a phrase the sum of those of its
            words, else the dot product, 1 at most."""

    start: int
    end: int
    score: float


def words_found(text: str, highlights: Sequence[tuple[int, int, float]]) -> list[Match]:
    """The words and phrases of a query in a text, from `Hit.highlights`."""
    return [
        Match(first, last, round(weight, 4))
        for first, last, weight in highlights
        if text[first:last].lower() not in _EMPTY
    ]


def matched_words(
    text: str, tokens: Sequence[tuple[int, int]], scores: NDArray[np.float32]
) -> list[Match]:
    """The words that matched, in the text's order.

    Args:
        text: the passage.
        tokens: span of characters of each document token.
        scores: (n_query_tokens, n_doc_tokens), as `explain` gives them. Nothing is marked when it
            has another number of document tokens: the text was encoded differently."""
    if scores.shape[1] != len(tokens):
        return []
    weight: dict[int, float] = {}
    for token, score in zip(
        scores.argmax(axis=1).tolist(), scores.max(axis=1).tolist(), strict=True
    ):
        if score >= _LIKE:
            weight[token] = max(score, weight.get(token, 0.0))
    words: list[Match] = []
    for word in _WORD.finditer(text):
        inside = [
            score
            for token, score in weight.items()
            if tokens[token][0] < word.end() and word.start() < tokens[token][1]
        ]
        if inside and word[0].lower() not in _EMPTY:
            words.append(Match(word.start(), word.end(), round(max(inside), 4)))
    strongest = sorted(words, key=lambda match: -match.score)[:_MOST]
    return sorted(strongest, key=lambda match: match.start)
