"""Query objects with their scratch memory, lent to one call at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mvdb import core


class QueryPool:
    """Keeps the query objects of past calls for the next ones, as many as fit into `limit` bytes of
    scratch memory, but at least one. Safe from many threads: list.append and list.pop are
    atomic."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free: list[core.Query] = []

    @contextmanager
    def loaded(self, vectors: core.Floats) -> Iterator[core.Query]:
        """A query object with the vectors of a query (m, dim), for the length of a block."""
        try:
            query = self._free.pop()
        except IndexError:
            query = core.Query()
        try:
            query.load(vectors)
            yield query
        finally:
            kept = sum(one.nbytes for one in self._free)
            if not kept or kept + query.nbytes <= self._limit:
                self._free.append(query)
