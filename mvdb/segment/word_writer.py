"""Term index of the words of a new segment, made row by row beside the segment's other parts.

A segment none of whose documents has a text gets no term index.
"""

from __future__ import annotations

from collections.abc import Iterator

from mvdb import core
from mvdb.errors import InvalidInputError
from mvdb.lexical import tokeniser
from mvdb.lexical.term_index import TermIndex, TermIndexWriter
from mvdb.segment.layout import Part


class WordWriter:
    """Indexes the texts of one segment. Used by one thread, until `close`."""

    def __init__(self, index: TermIndexWriter, fault: str | None) -> None:
        """fault: why texts cannot be indexed by this process; None if they can."""
        self._index = index
        self._fault = fault
        self._has_texts = False

    def add_text(self, text: bytes | None) -> None:
        """Indexes the text of the next row, UTF-8. InvalidInputError where it cannot be."""
        if text is not None:
            self._has_texts = True
            if self._fault is not None:
                raise InvalidInputError(f"texts cannot be indexed: {self._fault}")
            text = tokeniser.fold_stored(text)
        self._index.add_text(text)

    def add_rows(self, index: TermIndex | None, rows: core.Numbers) -> None:
        """Takes over rows of another segment, ascending; index: its term index, if it has one."""
        if index is None:
            for _ in range(len(rows)):
                self._index.add_text(None)
            return
        self._has_texts = True
        self._index.add_rows(index, rows)

    def parts(self) -> Iterator[tuple[Part, int, bytes]]:
        """The parts with their indexes, one in each step."""
        if not self._has_texts:
            return
        for index, extent in enumerate(self._index.extents()):
            yield Part.WORDS, index, extent
        yield Part.WORD_DIRECTORY, 0, self._index.directory()

    def close(self) -> None:
        """Closes temporary files."""
        self._index.close()
