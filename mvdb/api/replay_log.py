"""Journal of an open transaction's changes, for their replay in a larger map.

liblmdb cannot enlarge its map within a transaction. Where address space is scarce, a transaction
may fill the map:

1. Each change is appended to the journal when it has succeeded.
2. When the map is full the transaction is rolled back, and the map grows.
3. The changes are replayed in their order; then the change that filled the map is tried again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mvdb.storage.spool import Spool


@dataclass(frozen=True)
class Change:
    """A function of the module level (it is pickled) and its arguments after the first, which is
    the value to be changed."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, subject: Any) -> Any:
        return self.function(subject, *self.arguments)


class Journal:
    """Changes in their order. Used by one thread; not persistent."""

    def __init__(self, folder: str, memory: int) -> None:
        """Beyond `memory` bytes the changes go to a temporary file in `folder`."""
        self._kept = Spool(folder, memory)
        self._count = 0

    def add(self, number: int, change: Change) -> None:
        """Keeps a change to the collection of a number."""
        pickle.dump((number, change), self._kept, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def changes(self) -> Iterator[tuple[int, Change]]:
        """All changes from the first one on, each with the number of its collection."""
        self._kept.rewind()
        for _ in range(self._count):
            yield pickle.load(self._kept)  # written above, by this process

    def close(self) -> None:
        """Closes the temporary file."""
        self._kept.close()
