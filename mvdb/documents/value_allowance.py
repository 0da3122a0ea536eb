"""Bound on the metadata values that one call parses.

Single documents have limits of their own, but a few kilobytes may hold thousands of documents that
unpack to a million values each. A call that reads all documents parses values in proportion to the
bytes that the documents take in the file. A value costs about a microsecond, and twelve bytes of
memory where it is indexed.
"""

from __future__ import annotations

from mvdb.errors import CorruptionError

SLACK = 1 << 21
"""Values that any call may parse."""
RATIO = 8
"""Further values per byte of the documents in the file, vectors and ids included."""


class Allowance:
    """Allowance of one call. Used by one thread."""

    def __init__(self) -> None:
        self._left = SLACK

    def earn(self, stored: int) -> None:
        """Adds the values for `stored` bytes of documents."""
        self._left += RATIO * stored

    def spend(self, values: int, where: str) -> None:
        """Takes `values` off before they are parsed; CorruptionError when too few are left."""
        self._left -= values
        if self._left < 0:
            raise CorruptionError(
                f"{where}: metadata of more than {RATIO} values for each byte of its documents"
            )
