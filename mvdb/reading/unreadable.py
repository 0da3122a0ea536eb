"""The exception of a file that is left out."""

from __future__ import annotations

from mvdb.errors import Error

MISSING_LIBRARY = "missing library"
FAILED = "failed"
BINARY = "binary"
_MOST_SHOWN = 200


class Unreadable(Error, ValueError):
    """A file that is left out: the message says why, in a few words.

    Attributes:
        kind: files that are left out for the same reason are counted together: ``"binary"``,
            ``"too large"``, ``"encoding"``, ``"damaged"``, ``"denied"``, ``"gone"``,
            ``"special"``, ``"no text"``, ``"missing library"``; ``"failed"`` is a fault of the
            reader.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def told(words: object) -> str:
    """Words of a file, or of a library about it, as a part of a message: in one line, not long,
    without what a terminal would take for commands."""
    text = str(words)[:_MOST_SHOWN]
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
