"""Where the level of relevance of one open file comes from: the file, else a measurement that is
kept in memory. Thread-safe; two threads may measure at once, and find the same."""

from __future__ import annotations

from collections.abc import Callable

from mvdb.state import relevance_level
from mvdb.state.relevance_level import RelevanceLevel
from mvdb.storage.environment import ReadTransaction


class Levels:
    """The last measurement of this process."""

    def __init__(self) -> None:
        self._measured: RelevanceLevel | None = None

    def known(self, txn: ReadTransaction) -> float | None:
        """The level in the file, else the measured one, if there is one."""
        best = relevance_level.load(txn) or self._measured
        return None if best is None else best.level

    def fitting(
        self, txn: ReadTransaction, documents: int, measure: Callable[[], float | None]
    ) -> float | None:
        """A level that fits a number of documents; measured if neither is one."""
        for one in (relevance_level.load(txn), self._measured):
            if one is not None and one.fits(documents):
                return one.level
        level = measure()
        if level is not None:
            self._measured = RelevanceLevel(level, documents)
        return level
