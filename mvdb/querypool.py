"""Query objects with their scratch memory, lent to one call at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mvdb import core


class QueryPool:
    """Keeps as many query objects as calls have run at once. Safe from many threads: list.append
    and list.pop are atomic."""

    def __init__(self) -> None:
        self._free: list[core.Query] = []

    @contextmanager
    def use(self) -> Iterator[core.Query]:
        """A query object for the length of a block."""
        try:
            query = self._free.pop()
        except IndexError:
            query = core.Query()
        try:
            yield query
        finally:
            self._free.append(query)
