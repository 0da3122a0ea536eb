"""Plain text: paragraphs between blank lines."""

from __future__ import annotations

from collections.abc import Iterator

from mvdb.cli.reading.blocks import Block, paragraphs


def read_plain(text: str) -> Iterator[Block]:
    """Blocks of plain text."""
    return paragraphs(enumerate(text.split("\n"), start=1))
