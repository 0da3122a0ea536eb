"""Documents to passages, without a database.

A document is read into blocks (paragraphs, headings, code), and blocks are cut into passages of a
size that an encoder takes whole. Each passage knows its lines and the headings above it.

>>> from mvdb.reading import cut, read
>>> document = read("# Bread\\n\\nFlour, water, salt.", name="bread.md")
>>> assert document.title == "Bread"
>>> [passage] = cut(document.blocks)
>>> assert (passage.line, passage.end_line, passage.trail) == (1, 3, ("Bread",))

The formats are those of ``mvdb index``; the libraries that some need are in the extras ``cli``
(Markdown, HTML, front matter) and ``files`` (PDF, office documents) and are imported when a
document needs them. A format of one's own: :func:`register_reader`.
"""

from __future__ import annotations

from mvdb.reading.blocks import Block
from mvdb.reading.cutting import Cutting, cut
from mvdb.reading.document_sources import read
from mvdb.reading.formats import register_reader
from mvdb.reading.passages import Passage
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

__all__ = [
    "Block",
    "Cutting",
    "Passage",
    "Reading",
    "Unreadable",
    "cut",
    "read",
    "register_reader",
]
