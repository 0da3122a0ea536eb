"""Texts and metadata of several documents: each block of them is unpacked once for all that are
wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import chain, groupby, islice

import numpy as np

from mvdb.documents import metadata
from mvdb.documents.texts import Stored
from mvdb.errors import CorruptionError
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Metadata

Place = tuple[int, int]
"""Segment index and row."""
Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]

PASS_GROWTH = 8
"""Each pass of `HitContents` is for so many times the hits that the one before has read: who reads
one hit of many pays for one, who reads all pays for each block a few times."""
AHEAD_BYTES = 16 << 20
"""What a result keeps of what it has read ahead, at most."""


def in_blocks(
    txn: ReadTransaction, state: State, places: Iterable[Place]
) -> Iterator[tuple[Place, Stored]]:
    """What is stored at these places, each once, in the order in which they lie."""
    for index, group in groupby(sorted(set(places)), key=lambda place: place[0]):
        rows = np.array([row for _, row in group], np.uint32)
        for row, stored in state.segments[index].rows_stored(txn, rows):
            yield (index, row), stored


def decoded(stored: Stored) -> tuple[str | None, Metadata | None]:
    """Text and metadata; CorruptionError for bytes that are none."""
    text, raw = stored
    try:
        return (
            None if text is None else text.decode("utf-8"),
            None if raw is None else metadata.loads(raw),
        )
    except UnicodeDecodeError as error:
        raise CorruptionError(f"a stored text is not UTF-8 ({error.reason})") from None


class HitContents:
    """What the hits of one result have read, or will have: block by block, some of it ahead.

    What was read ahead is given out only while the document is still there: a number is never given
    to another document, so that it is there means that nothing of it has changed. Thread-safe:
    threads may at worst read the same twice."""

    def __init__(
        self, numbers: list[int], reading: Reading, is_undone: Callable[[int], bool]
    ) -> None:
        """numbers: of the documents, hit by hit. reading: a transaction and the state in it, when a
        hit is used. is_undone: whether a number belongs to a transaction that was rolled back."""
        self._numbers = numbers
        self._reading = reading
        self._is_undone = is_undone
        self._ahead: dict[int, Stored] = {}
        self._seen: set[int] = set()  # hits that were read
        self._pass = 1

    def fetch(self, hit: int) -> tuple[str | None, Metadata | None]:
        """Text and metadata of a hit."""
        number = self._numbers[hit]
        if self._is_undone(number):
            return None, None
        with self._reading() as (txn, state):
            stored = self._ahead.pop(hit, None)
            place = state.locate(number)
            if place is None:
                return None, None
            if stored is None:
                stored = self._read_pass(txn, state, hit, place)
        return decoded(stored)

    def _read_pass(self, txn: ReadTransaction, state: State, hit: int, place: Place) -> Stored:
        """Reads for a hit and for some that follow it, or come before it."""
        hits = {place: hit}
        for other in self._unseen(hit, self._pass - 1):
            there = state.locate(self._numbers[other])
            if there is not None:
                hits[there] = other
        room = AHEAD_BYTES - sum(map(_size, list(self._ahead.values())))
        own: Stored | None = None
        got = 1
        # A block of others that is damaged is their business: they will be told.
        with suppress(CorruptionError):
            for at, stored in in_blocks(txn, state, hits):
                if at == place:
                    own = stored
                    self._seen.add(hit)
                    continue
                room -= _size(stored)
                if room < 0:
                    break
                self._ahead[hits[at]] = stored
                self._seen.add(hits[at])
                got += 1
        self._pass = PASS_GROWTH * got
        return state.segments[place[0]].stored(txn, place[1]) if own is None else own

    def _unseen(self, hit: int, count: int) -> list[int]:
        around = chain(range(hit + 1, len(self._numbers)), range(hit - 1, -1, -1))
        return list(islice((one for one in around if one not in self._seen), count))


def _size(stored: Stored) -> int:
    return sum(len(part) for part in stored if part is not None)
