"""Term index of the learned weights of a new segment, made row by row beside its other parts.

The weights of a document that is stored already are copied from the term index that has them; they
are never encoded again. Rows of one index that follow each other are copied together, because each
copy reads the whole of that index.

A segment none of whose documents has weights gets no such index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.documents.sparse_vectors import SparseVector
from mvdb.lexical.term_index import TermIndex, TermIndexWriter
from mvdb.segment.layout import Part

MANY = 1024
"""Rows without weights from which they are one run of the index, instead of a call each."""
_NONE = np.empty(0, np.float32)


@dataclass(frozen=True)
class StoredWeights:
    """The weights of a row of a segment. REQUIRES, until its copy is finished: the views of the
    segment are valid."""

    index: TermIndex
    row: int

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes in memory: they are in the file."""
        return 0


Weights = SparseVector | StoredWeights
"""The learned weights of a document, new or stored."""


class WeightWriter:
    """Indexes the weights of one segment. Used by one thread, until `close`."""

    def __init__(self, folder: str, memory: int) -> None:
        """Beyond `memory` bytes finished rows go to a temporary file in `folder`."""
        self._index = TermIndexWriter(folder, memory, weights=True)
        self._has_weights = False
        self._empty = 0  # rows without weights that are not in the index yet
        self._source: TermIndex | None = None
        self._rows: list[int] = []  # of the source, to be copied behind the empty rows

    def add(self, weights: Weights | None) -> None:
        """Indexes the weights of the next row. REQUIRES: of stored ones that follow each other, the
        rows of one index ascend."""
        if isinstance(weights, StoredWeights):
            if weights.index is not self._source:
                self._copy()
                self._source = weights.index
            self._rows.append(weights.row)
            return
        self._copy()
        if weights is None:
            self._empty += 1
        else:
            self._begin()
            self._index.add_weights(weights.terms(), weights.weights)

    def add_rows(self, index: TermIndex | None, rows: core.Numbers) -> None:
        """Takes over rows of another segment, ascending; index: its weights, if it has any."""
        self._copy()
        if index is None:
            self._empty += len(rows)
        elif len(rows):
            self._begin()
            self._index.add_rows(index, rows)

    def parts(self) -> Iterator[tuple[Part, int, bytes]]:
        """The parts with their indexes, one in each step."""
        self._copy()
        if not self._has_weights:
            return
        self._begin()
        for index, extent in enumerate(self._index.extents()):
            yield Part.WEIGHTS, index, extent
        yield Part.WEIGHT_DIRECTORY, 0, self._index.directory()

    def close(self) -> None:
        """Closes temporary files."""
        self._index.close()

    def _copy(self) -> None:
        """Copies the rows that wait."""
        source, rows = self._source, self._rows
        if source is not None:
            self._source, self._rows = None, []
            self.add_rows(source, np.array(rows, np.uint32))

    def _begin(self) -> None:
        """Before rows with weights, and at the end: the rows without weights."""
        self._has_weights = True
        count, self._empty = self._empty, 0
        if count >= MANY:
            self._index.add_empty(count)
            return
        for _ in range(count):
            self._index.add_weights((), _NONE)
