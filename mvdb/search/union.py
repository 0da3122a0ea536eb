"""The documents of both sides of a hybrid search, with their dense scores.

Fast scores (search.py) rank the union; only documents that may be among the best get precise ones.
The least and the greatest precise score, which scale all others, are among those of the documents
whose fast score is within the error of the extreme one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mvdb import core
from mvdb.search.found import Rows, kth_score
from mvdb.search.fusion import Scale, Scores

Mask = NDArray[np.bool_]


class Union:
    """Documents with their dense scores.

    is_precise: of each document, whether its score is. error: bound on the difference of a score
    that is not."""

    def __init__(
        self,
        rows: Rows,
        dense: core.Floats,
        is_precise: Mask,
        error: float,
        precise_scores: Callable[[Rows], core.Floats],
    ) -> None:
        self.rows = rows
        self.dense = dense
        self.is_precise = is_precise
        self._error = error
        self._precise_scores = precise_scores

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, kept: Mask) -> Union:
        """The same of some documents."""
        return Union(
            self.rows[kept],
            self.dense[kept],
            self.is_precise[kept],
            self._error,
            self._precise_scores,
        )

    def refine(self, chosen: Mask) -> None:
        """Makes the scores of the chosen documents precise."""
        new = chosen & ~self.is_precise
        if new.any():
            self.dense[new] = self._precise_scores(self.rows[new])
            self.is_precise |= new

    def scale(self) -> Scale:
        """The scale of the precise dense scores of all."""
        if len(self):
            least, greatest = self.dense.min(), self.dense.max()
            reach = 2 * self._error
            self.refine((self.dense <= least + reach) | (self.dense >= greatest - reach))
        return Scale.of(self.dense[self.is_precise])

    def refine_best(self, fused: Callable[[Scores], Scores], n: int, slope: float) -> Scores:
        """Makes the scores of all documents precise that may be among the best n.

        fused: the scores of both sides, from dense ones. slope: its change by that of a dense
        score. Returns the fused scores; those of other documents are below the best n."""
        scores = fused(self.dense)
        reach = 2 * slope * self._error
        self.refine(scores >= kth_score(scores, n) - reach)
        return fused(self.dense)
