"""Where the level of relevance of one open collection comes from: the file, else a measurement that
is kept in memory. Thread-safe; two threads may measure at once, and find the same."""

from __future__ import annotations

from collections.abc import Callable

from mvdb.limits import Limits
from mvdb.search.answers import Answers
from mvdb.search.prefetch import Prefetcher
from mvdb.search.profile_collector import Collector
from mvdb.search.query_pool import QueryPool
from mvdb.state import relevance_level
from mvdb.state.relevance_level import RelevanceLevel
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction


class Levels:
    """The means of measuring, and the last measurement for a file without a level."""

    def __init__(self, queries: QueryPool, prefetcher: Prefetcher, limits: Limits) -> None:
        self._tools = queries, prefetcher, limits
        self._measured: RelevanceLevel | None = None

    def measure(
        self, txn: ReadTransaction, state: State, check: Callable[[], None] = lambda: None
    ) -> float | None:
        """The level of a state, by 64 searches; None if it has none. check: called before each; may
        raise to end it."""
        return Answers(txn, state, *self._tools, Collector()).measured_level(check)

    def known(self, txn: ReadTransaction) -> float | None:
        """The level in the file, else the measured one, if there is one."""
        best = relevance_level.load(txn) or self._measured
        return None if best is None else best.level

    def needed(self, txn: ReadTransaction, state: State) -> float | None:
        """The level in the file, as old as it may be: maintenance measures again when it is due. In
        a file without one the level is measured here."""
        stored = relevance_level.load(txn)
        if stored is not None:
            return stored.level
        documents = state.manifest.live_documents
        if self._measured is not None and self._measured.fits(documents):
            return self._measured.level
        level = self.measure(txn, state)
        if level is not None:
            self._measured = RelevanceLevel(level, documents)
        return level
