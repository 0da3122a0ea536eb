"""Making of a segment whose documents are to be put into the order of their likeness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mvdb import core
from mvdb.segment import clustering
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import (
    SPOOL_MEMORY,
    EncodedDocument,
    Listing,
    Sealed,
    SegmentWriter,
)
from mvdb.storage.spool import Spool


class OrderedWriter:
    """A `SegmentWriter` for documents that come in the order of their numbers: their vectors wait
    in a temporary file until all are there and their order is known."""

    def __init__(self, segment: int, generation: int, listing: Listing) -> None:
        self._writer = SegmentWriter(segment, generation, listing)
        self._codec = listing.codec
        self._waiting = Spool(listing.folder, SPOOL_MEMORY)
        self._starts = [0]

    @property
    def n_tokens(self) -> int:
        """Tokens added so far."""
        return self._starts[-1]

    def close(self) -> None:
        """Gives temporary files back."""
        self._waiting.close()
        self._writer.close()

    def take(self) -> list[Sealed]:
        """Parts that are ready to be stored, each once."""
        return self._writer.take()

    def add(self, document: EncodedDocument) -> None:
        """Appends a document."""
        self._writer.add_row(document.number, document.key, document.text, document.metadata)
        self._waiting.write(document.codes)
        self._waiting.write(document.record)
        self._starts.append(self._starts[-1] + document.n_tokens)

    def finish_steps(self) -> Iterator[None]:
        """Makes the parts that are left, a step at a time. At least one document was added."""
        starts = np.array(self._starts, np.uint32)
        chunks = np.array([0, len(starts) - 1], np.uint32)
        records = self._waiting.contents()
        codec = self._codec
        view = core.SegmentView(codec, codec.code_bytes, codec.dim, starts, chunks, [], [records])
        rows = clustering.by_likeness(view.document_points(), codec.dim)
        size = codec.code_bytes + codec.token_bytes
        for row in rows.tolist():
            first, n = int(starts[row]), int(starts[row + 1] - starts[row])
            record = records[first * size : (first + n) * size]
            codes = n * codec.code_bytes
            self._writer.add_slot(record[:codes], record[codes:], n)
            yield
        yield from self._writer.finish_steps(rows)

    def info(self, residual_sum: float) -> SegmentInfo:
        """The manifest's entry."""
        return self._writer.info(residual_sum)
