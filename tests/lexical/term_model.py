"""What tests of term indexes share: indexes in memory, random texts, and BM25 in plain numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.lexical.term_index import Stem, TermIndex, TermIndexWriter

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
Words = Sequence[str] | None
"""The words of a document; None: it has no text."""


class InMemory:
    """Extents that are not in a file."""

    def __init__(self, extents: Sequence[bytes]) -> None:
        self.bodies = [memoryview(extent) for extent in extents]
        self.opened: set[int] = set()

    def open(self, indexes: NDArray[np.integer]) -> None:
        self.opened |= set(indexes.tolist())


def read(directory: bytes, extents: Sequence[bytes]) -> TermIndex:
    """An index of these bytes."""

    def find(n: int) -> InMemory:
        if n > len(extents):
            raise CorruptionError(f"{n} extents")
        return InMemory(extents[:n])

    return TermIndex(memoryview(directory), find, "the index")


def finish(writer: TermIndexWriter) -> TermIndex:
    """The index that was written, all of it checked."""
    extents = list(writer.extents())
    index = read(writer.directory(), extents)
    writer.close()
    index.check_all()
    return index


def index_of(
    folder: object,
    documents: Sequence[Words],
    *,
    memory: int = 1 << 24,
    extent_bytes: int = 1 << 12,
    stem: Stem | None = None,
) -> TermIndex:
    """The index of documents."""
    writer = TermIndexWriter(str(folder), memory, stem, extent_bytes=extent_bytes)
    for words in documents:
        writer.add_text(None if words is None else " ".join(words).encode())
    return finish(writer)


def word(number: int) -> str:
    """A word of letters alone, which the tokeniser has no parts of."""
    return "w" + f"{number:x}".translate(_LETTERS)


def draw_documents(rng: np.random.Generator, n: int, n_words: int, longest: int) -> list[Words]:
    """Documents of words whose frequencies fall as those of a language; some have no text."""
    shares = 1 / np.arange(1, n_words + 1)
    shares /= shares.sum()
    documents: list[Words] = []
    for _ in range(n):
        length = int(rng.integers(0, longest))
        words = rng.choice(n_words, length, p=shares)
        documents.append(None if rng.random() < 0.05 else [word(int(one)) for one in words])
    return documents


class Model:
    """Documents as counters, and their BM25 scores by definition."""

    def __init__(self, documents: Sequence[Words]) -> None:
        self.counts = [Counter(words or ()) for words in documents]
        self.lengths = np.array([len(words or ()) for words in documents])

    def frequencies(self) -> dict[bytes, int]:
        """Documents of each word."""
        every = Counter(word for counts in self.counts for word in counts)
        return {word.encode(): n for word, n in every.items()}

    def scores(self, words: Sequence[str], k1: float = 1.2, b: float = 0.75) -> NDArray[np.float64]:
        """The score of each document; documents without words count in no statistic."""
        filled = self.lengths[self.lengths > 0]
        n, average = len(filled), filled.mean() if len(filled) else 1.0
        scores = np.zeros(len(self.counts))
        for word in words:
            tf = np.array([counts[word] for counts in self.counts], float)
            df = int((tf > 0).sum())
            idf = np.log(1 + (n - df + 0.5) / (df + 0.5))
            norm = k1 * (1 - b + b * self.lengths / average)
            scores += idf * tf / np.maximum(tf + norm, 1e-9)
        return scores
