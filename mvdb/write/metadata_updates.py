"""Updates of metadata: a document moves, as it is stored, to a new segment with its new metadata.

1. Updates wait in `Changes.updated` until the flush; one of a document in the write buffer is made
   there.
2. `move` gives the documents new numbers, above all others, and copies everything else that they
   consist of (`Segment.documents`). Nothing is decoded. Only codes change, if the present codebook
   has codes of more bytes: they are widened, as in a merge.
3. Their ids lead to the new numbers; their old rows get tombstones.

Documents of a codebook that the present one does not extend keep their codebook, in a segment of
their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from mvdb import core
from mvdb.codebook.codebook import valid_generations
from mvdb.documents import id_table
from mvdb.errors import CorruptionError
from mvdb.state.state import DocumentRow, State
from mvdb.write import flush
from mvdb.write.changes import Changes
from mvdb.write.flush import EncodedBatch
from mvdb.write.merge import widened

BATCH_DOCUMENTS = 64
"""Documents that are copied before their parts are stored."""


def stored_metadata(changes: Changes, keys: Sequence[bytes]) -> list[bytes | None]:
    """The present metadata of the documents with these ids. REQUIRES: the ids are known."""
    found: dict[int, bytes | None] = {}
    elsewhere: list[int] = []
    numbers = [id_table.get(changes.txn, key) for key in keys]
    for number in numbers:
        assert number is not None
        document = None if changes.buffer is None else changes.buffer.find(number)
        if document is not None:
            found[number] = document.metadata
        elif number in changes.updated:
            found[number] = changes.updated[number]
        else:
            elsewhere.append(number)
    state = changes.open_state()
    for index, rows in _by_segment(state, elsewhere):
        segment = state.segments[index]
        for row, (_, raw) in segment.rows_stored(changes.txn, rows):
            found[int(segment.directory.numbers[row])] = raw
    return [found[number] for number in numbers if number is not None]


def move(changes: Changes) -> None:
    """Moves the documents that wait in `changes.updated`. REQUIRES: the write buffer has been
    flushed, so that new numbers are above those of its documents."""
    if not changes.updated:
        return
    updated, changes.updated, changes.updated_bytes = changes.updated, {}, 0
    state = changes.open_state()
    present = changes.manifest.generation
    valid = valid_generations(changes.txn, present)
    groups: dict[int, list[tuple[int, core.Numbers]]] = {}
    for index, rows in _by_segment(state, updated):
        own = state.manifest.segments[index].generation
        groups.setdefault(present if own in valid else own, []).append((index, rows))
    for generation, sources in groups.items():
        first = changes.manifest.next_document
        count = sum(len(rows) for _, rows in sources)
        changes.manifest = replace(changes.manifest, next_document=first + count)
        n_tokens = sum(state.segments[index].total_tokens(rows) for index, rows in sources)
        codebook = changes.codebook() if generation == present else None
        code_bytes = 0 if codebook is None else codebook.codec.code_bytes
        batches = _moved(changes, state, sources, updated, first, code_bytes)
        infos = flush.write_encoded(changes, batches, n_tokens, generation)
        changes.replace_segments((), infos)
    flush.write_tombstones(changes)


def _by_segment(
    state: State, numbers: Sequence[int] | Mapping[int, object]
) -> Iterator[tuple[int, core.Numbers]]:
    """Indexes of segments, each with the rows of its documents among these, ascending."""
    places = [_located(state, number) for number in sorted(set(numbers))]
    for index, group in groupby(places, key=lambda place: place.segment):
        yield index, np.array([place.row for place in group], np.uint32)


def _located(state: State, number: int) -> DocumentRow:
    place = state.locate(number)
    if place is None:
        raise CorruptionError(f"document number {number} has an id but is in no segment")
    return place


def _moved(
    changes: Changes,
    state: State,
    sources: Sequence[tuple[int, core.Numbers]],
    updated: Mapping[int, bytes | None],
    number: int,
    code_bytes: int,
) -> Iterator[EncodedBatch]:
    """The documents with their new metadata, numbered from `number` on, their codes of at least
    `code_bytes` each. Their ids are led there, and their old rows are put among the deletions."""
    for index, rows in sources:
        segment, info = state.segments[index], state.manifest.segments[index]
        mean_residual = info.residual_sum / info.n_documents
        changes.deleted.setdefault(info.id, []).extend(rows.tolist())
        for at in range(0, len(rows), BATCH_DOCUMENTS):
            batch = []
            for old in segment.documents(changes.txn, rows[at : at + BATCH_DOCUMENTS]):
                new = replace(old, number=number, metadata=updated[old.number])
                if segment.code_bytes < code_bytes:
                    codes = widened(memoryview(new.codes), new.n_tokens, code_bytes)
                    new = replace(new, codes=codes)
                batch.append(new)
                id_table.put(changes.txn, old.key, number)
                number += 1
            yield batch, mean_residual * len(batch)
