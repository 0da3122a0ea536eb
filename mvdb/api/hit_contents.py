"""Texts and metadata of several documents: each block is decompressed once for all requested
documents in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import chain, groupby, islice

import numpy as np

from mvdb.documents import metadata
from mvdb.documents.hit_fields import HitFields
from mvdb.documents.texts import Stored
from mvdb.errors import CorruptionError
from mvdb.segment.layout import Row
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Metadata

Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]

PASS_GROWTH = 8
"""Ratio of the hits that a pass of `HitContents` reads to those of the pass before. A reader of one
hit of many pays for one block; a reader of all hits reads each block a few times."""


def in_blocks(
    txn: ReadTransaction, state: State, documents: Iterable[DocumentRow]
) -> Iterator[tuple[DocumentRow, Stored]]:
    """Texts and metadata of these documents, each once, in the order of storage."""
    for index, group in groupby(sorted(set(documents)), key=lambda one: one.segment):
        rows = np.array([one.row for one in group], np.uint32)
        for row, stored in state.segments[index].rows_stored(txn, rows):
            yield DocumentRow(index, Row(row)), stored


def decoded(stored: Stored) -> tuple[str | None, Metadata | None]:
    """Text and metadata; CorruptionError for malformed bytes."""
    text, raw = stored
    try:
        return (
            None if text is None else text.decode("utf-8"),
            None if raw is None else metadata.loads(raw),
        )
    except UnicodeDecodeError as error:
        raise CorruptionError(f"a stored text is not UTF-8 ({error.reason})") from None


def chosen(
    txn: ReadTransaction, state: State, documents: Iterable[DocumentRow], fields: HitFields
) -> dict[DocumentRow, tuple[str | None, Metadata | None]]:
    """The chosen fields of these documents, read now."""
    result: dict[DocumentRow, tuple[str | None, Metadata | None]] = {}
    if fields.is_empty:
        return dict.fromkeys(documents, (None, None))
    for document, (text, raw) in in_blocks(txn, state, documents):
        needed = text if fields.text else None, raw if fields.needs_metadata else None
        read, metadata_read = decoded(needed)
        result[document] = read, fields.part_of(metadata_read)
    return result


class HitContents:
    """Texts and metadata of the hits of one result, read block by block, some of them ahead.

    What was read ahead is given out only while the document is still there: a number is never given
    to another document, so its document is unchanged. Thread-safe: threads may at worst read the
    same twice."""

    def __init__(
        self,
        numbers: list[int],
        reading: Reading,
        is_undone: Callable[[int], bool],
        ahead_bytes: int,
    ) -> None:
        """numbers: of the documents, hit by hit. reading: a transaction and the state in it, when a
        hit is used. is_undone: whether a number belongs to a transaction that was rolled back.
        ahead_bytes: kept of hits read ahead, at most."""
        self._numbers = numbers
        self._reading = reading
        self._is_undone = is_undone
        self._ahead_bytes = ahead_bytes
        self._ahead: dict[int, Stored] = {}
        self._seen: set[int] = set()  # hits that were read
        self._pass = 1  # hits that the next pass reads

    def fetch(self, hit: int) -> tuple[str | None, Metadata | None]:
        """Text and metadata of a hit."""
        number = self._numbers[hit]
        if self._is_undone(number):
            return None, None
        with self._reading() as (txn, state):
            stored = self._ahead.pop(hit, None)
            document = state.locate(number)
            if document is None:
                return None, None
            if stored is None:
                stored = self._read_pass(txn, state, hit, document)
        return decoded(stored)

    def _read_pass(
        self, txn: ReadTransaction, state: State, hit: int, document: DocumentRow
    ) -> Stored:
        """Reads for a hit and for some that follow it, or come before it."""
        hits = {document: hit}
        for other in self._unseen(hit, self._pass - 1):
            located = state.locate(self._numbers[other])
            if located is not None:
                hits[located] = other
        room = self._ahead_bytes - sum(map(_size, list(self._ahead.values())))
        own: Stored | None = None
        got = 1
        # A damaged block of other hits is reported to them, not to this one.
        with suppress(CorruptionError):
            for one, stored in in_blocks(txn, state, hits):
                if one == document:
                    own = stored
                    self._seen.add(hit)
                    continue
                room -= _size(stored)
                if room < 0:
                    break
                self._ahead[hits[one]] = stored
                self._seen.add(hits[one])
                got += 1
        self._pass = PASS_GROWTH * got
        if own is None:
            own = state.segments[document.segment].stored(txn, document.row)
        return own

    def _unseen(self, hit: int, count: int) -> list[int]:
        around = chain(range(hit + 1, len(self._numbers)), range(hit - 1, -1, -1))
        return list(islice((one for one in around if one not in self._seen), count))


def _size(stored: Stored) -> int:
    return sum(len(part) for part in stored if part is not None)
