"""Writer of a segment with posting lists whose documents arrive in the order of their numbers.

1. Rows are written at once; codes and records are kept in a temporary file.
2. `finish` clusters the documents by their codes (clustering.py).
3. It then adds the slots cluster by cluster, and makes the other parts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mvdb import core
from mvdb.limits import Limits
from mvdb.segment import clustering
from mvdb.segment.segment_writer import (
    EncodedDocument,
    Listing,
    Sealed,
    SegmentWriter,
)
from mvdb.segment.weight_writer import WeightWriter
from mvdb.segment.word_writer import WordWriter
from mvdb.storage.spool import Spool


class ClusteredWriter(SegmentWriter):
    """A `SegmentWriter` that chooses the order of the slots. Used by one thread, until `close`."""

    def __init__(
        self,
        segment: int,
        generation: int,
        limits: Limits,
        weights: WeightWriter,
        listing: Listing,
        words: WordWriter | None,
    ) -> None:
        super().__init__(segment, generation, limits, weights, listing, words)
        self._codec = listing.codec
        self._vectors = Spool(listing.folder, limits.spool_bytes)
        self._row_starts = [0]

    @property
    def n_tokens(self) -> int:
        """Tokens added so far."""
        return self._row_starts[-1]

    def close(self) -> None:
        """Closes temporary files."""
        self._vectors.close()
        super().close()

    def add(self, document: EncodedDocument) -> None:
        """Appends a document."""
        self.add_document(document)
        self._vectors.write(document.codes)
        self._vectors.write(document.record)
        self._row_starts.append(self._row_starts[-1] + document.n_tokens)

    def finish(self, order: core.Numbers | None = None) -> Iterator[list[Sealed]]:
        """Makes the other parts, some in each step. REQUIRES: at least one document was added; no
        order is given."""
        assert order is None
        starts = np.array(self._row_starts, np.uint32)
        chunks = np.array([0, len(starts) - 1], np.uint32)
        codec, records = self._codec, self._vectors.contents()
        checked = np.ones(len(starts) - 1, np.uint8)
        view = core.SegmentView(
            codec, codec.code_bytes, codec.dim, starts, chunks, [], [records], checked
        )
        order = clustering.cluster_order(
            view.document_points(), codec.dim, self._limits.cluster_documents
        )
        size = codec.code_bytes + codec.token_bytes
        for row in order.tolist():
            first, n = int(starts[row]), int(starts[row + 1] - starts[row])
            record = records[first * size : (first + n) * size]
            codes = n * codec.code_bytes
            self.add_slot(record[:codes], record[codes:], n)
            yield self.take()
        yield from super().finish(order)
