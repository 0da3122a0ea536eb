"""BM25 in plain Python over texts of plain words, parted by single spaces: what a search by words
should find."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Words:
    """A query: words and phrases that score, words that must or must not be there."""

    plain: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        parts = [*self.plain, *(f"+{word}" for word in self.must)]
        parts += [f'"{" ".join(phrase)}"' for phrase in self.phrases]
        return " ".join([*parts, *(f"-{word}" for word in self.excluded)])


@dataclass(frozen=True)
class WordModel:
    """Documents by id, and the parameters of their scores."""

    texts: Mapping[Any, str | None]
    k1: float = K1
    b: float = B
    _words: dict[Any, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = {name: text.split() for name, text in self.texts.items() if text is not None}
        self._words.update({name: words for name, words in own.items() if words})

    def idf(self, word: str) -> float:
        n = len(self._words)
        df = sum(word in words for words in self._words.values())
        return math.log(1 + (n - df + 0.5) / (df + 0.5))

    def scores(self, query: Words) -> dict[Any, float]:
        """BM25 of each document that is found."""
        found = {}
        average = sum(map(len, self._words.values())) / max(1, len(self._words))
        for name, words in self._words.items():
            norm = self.k1 * (1 - self.b + self.b * len(words) / average)
            score = 0.0
            for word in (*query.plain, *query.must):
                tf = words.count(word)
                score += self.idf(word) * tf / (tf + norm) if tf else 0.0
            for phrase in query.phrases:
                tf = occurrences(phrase, words)
                weight = sum(map(self.idf, phrase))
                score += weight * tf / (tf + norm) if tf else 0.0
            if score > 0 and self._qualifies(query, words):
                found[name] = score
        return found

    def _qualifies(self, query: Words, words: Sequence[str]) -> bool:
        return (
            all(word in words for word in query.must)
            and all(occurrences(phrase, words) for phrase in query.phrases)
            and not any(word in words for word in query.excluded)
        )


def occurrences(phrase: Sequence[str], words: Sequence[str]) -> int:
    """How often the words of a phrase stand one behind the other."""
    size = len(phrase)
    return sum(list(words[at : at + size]) == list(phrase) for at in range(len(words) - size + 1))
