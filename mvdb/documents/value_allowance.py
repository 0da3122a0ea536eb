"""What a call may make of the metadata in a file, in all.

Single documents have limits of their own, but a few kilobytes may hold thousands of them that
unpack to a million values each. Where a call goes through all documents, the values it makes are
bounded by the bytes that the documents take in the file. A value costs about a microsecond and
twelve bytes of memory where it is indexed.
"""

from __future__ import annotations

from mvdb.errors import CorruptionError

SLACK = 1 << 21
"""Values that any call may make."""
RATIO = 8
"""The same for each byte of the file that the documents take, vectors and ids included."""


class Allowance:
    """Of one call. Used by one thread."""

    def __init__(self) -> None:
        self._left = SLACK

    def earn(self, stored: int) -> None:
        """So many bytes of the file were read."""
        self._left += RATIO * stored

    def spend(self, values: int, where: str) -> None:
        """So many values are about to be made; CorruptionError when that is too much."""
        self._left -= values
        if self._left < 0:
            raise CorruptionError(
                f"{where}: metadata of more than {RATIO} values for each byte of its documents"
            )
