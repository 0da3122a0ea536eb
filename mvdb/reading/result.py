"""What reading a file gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from mvdb.extras import remedy
from mvdb.reading.blocks import Block
from mvdb.reading.unreadable import FAILED, MISSING_LIBRARY, Unreadable, told

_BEGINNING = 20
"""Blocks that are read at once, so that a file that cannot be read at all fails at once."""


@dataclass(frozen=True)
class Reading:
    """A document that was read.

    Attributes:
        blocks: its paragraphs, headings, lists, tables and code, in order. They are read while they
            are asked for, so that a long document takes little memory; asked for again, they are
            read again. :class:`Unreadable` may be raised on the way.
        note: what a user should know of how it was read, such as a guessed encoding; empty if
            nothing.
        metadata: what the document says of itself: front matter, ``<meta>`` of HTML, the properties
            of office documents, PDF and books, the head of a mail. JSON values: dates are ISO 8601
            strings. At most 64 KiB of text, 10,000 values and 32 levels.
        title: the title of the document; empty if it has none.
    """

    blocks: Iterable[Block]
    note: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    title: str = ""


class Blocks:
    """Blocks that are read while they are asked for, the first few at once."""

    def __init__(self, first: Iterable[Block], again: Callable[[], Iterable[Block]]) -> None:
        """again: gives all blocks anew."""
        rest = iter(first)
        self.beginning = list(islice(rest, _BEGINNING))
        self._rest: Iterator[Block] | None = rest
        self._again = again

    def __iter__(self) -> Iterator[Block]:
        rest, self._rest = self._rest, None
        return _failing_by_name(chain(self.beginning, rest) if rest else self._again())


def _failing_by_name(blocks: Iterable[Block]) -> Iterator[Block]:
    with failures_by_name():
        yield from blocks


@contextmanager
def failures_by_name() -> Iterator[None]:
    """Any exception of a reader, or of the library behind it, becomes Unreadable: it concerns this
    file alone."""
    try:
        yield
    except ImportError as error:
        message = f"needs {error.name}: {remedy('files')}"
        raise Unreadable(message, MISSING_LIBRARY) from error
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {told(error)}", FAILED) from error
