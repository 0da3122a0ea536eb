"""Found documents: from the rows and scores of a ranking to a list in its final order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.segment.layout import Row
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction

Rows = NDArray[np.void]
"""Documents of a state by segment and row, dtype `core.PLACE`."""
Scores = NDArray[np.floating]


class Found(NamedTuple):
    """A found document: segment and row, the key of its id, its score. The scores of both sides,
    None for a side that the mode of the search has not. Its relevance (relevance.py), None where it
    is unknown."""

    document: DocumentRow
    key: bytes
    score: float
    dense_score: float | None = None
    lexical_score: float | None = None
    relevance: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Rows with their scores, in any order, the scores of the sides that the mode has, and their
    relevances if they are known."""

    rows: Rows
    scores: Scores
    dense: Scores | None = None
    lexical: Scores | None = None
    relevances: Scores | None = None

    def of(self, kept: NDArray[np.bool_]) -> Ranking:
        """The same of some rows."""
        sides = (self.dense, self.lexical, self.relevances)
        return Ranking(
            self.rows[kept],
            self.scores[kept],
            *(None if scores is None else scores[kept] for scores in sides),
        )

    def best(self, state: State, txn: ReadTransaction, k: int) -> list[Found]:
        """The best k, best first, ties by id."""
        chosen = np.arange(len(self.scores))
        if len(chosen) > k:
            chosen = np.flatnonzero(self.scores >= kth_score(self.scores, k))
        columns = (self.scores, self.dense, self.lexical, self.relevances)
        values = zip(*(_values(column, chosen) for column in columns), strict=True)
        found = [
            Found(DocumentRow(index, Row(row)), state.segments[index].key(txn, row), *scores)
            for (index, row), scores in zip(self.rows[chosen].tolist(), values, strict=True)
        ]
        return in_order(found)[:k]


def in_order(found: list[Found]) -> list[Found]:
    """Best first, ties by id."""
    return sorted(found, key=lambda one: (-one.score, one.key))


def by_segment(places: Rows) -> Iterator[tuple[int, NDArray[np.bool_] | slice]]:
    """The segments of some documents by their indexes, ascending, and which documents are of
    each."""
    segments = places["segment"]
    if len(segments) and (segments == segments[0]).all():  # as in a database that was merged
        yield int(segments[0]), slice(None)
        return
    for index in np.unique(segments).tolist():
        yield index, segments == index


def at_least(found: list[Found], least: float | None) -> list[Found]:
    """Those of at least a score; None: all."""
    return found if least is None else [one for one in found if one.score >= least]


def kth_score(scores: Scores, k: int) -> float:
    """The k-th greatest score; the least one when there are fewer."""
    at = max(0, len(scores) - k)
    return float(np.partition(scores, at)[at]) if len(scores) else -np.inf


def greatest(rows: Rows, scores: Scores, n: int) -> NDArray[np.intp]:
    """Positions of the n greatest scores, ties by segment and row."""
    return np.lexsort((rows["document"], rows["segment"], -scores))[:n]


def joined(rows: Rows, others: Rows) -> tuple[Rows, NDArray[np.intp]]:
    """The union of distinct rows and distinct others: `rows`, then those of `others` that are not
    among them, whose positions in `others` are given too."""
    new = np.flatnonzero(~np.isin(_numbers(others), _numbers(rows)))
    return np.concatenate([rows, others[new]]).astype(core.PLACE, copy=False), new


def _numbers(rows: Rows) -> NDArray[np.uint64]:
    """One integer for each row."""
    segments, documents = rows["segment"].astype(np.uint64), rows["document"]
    return np.asarray(segments << np.uint64(32) | documents)


def _values(scores: Scores | None, chosen: NDArray[np.intp]) -> list[Any]:
    return [None] * len(chosen) if scores is None else scores[chosen].tolist()
