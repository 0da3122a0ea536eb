"""What a call may unpack of a file, in all.

Single values have limits of their own, but a few kilobytes may hold thousands of them that unpack
to megabytes each. Where a call goes through all documents, what it makes of them is bounded by the
bytes that they take in the file. Only metadata counts: values made of it take many times its size.
"""

from __future__ import annotations

from mvdb.errors import CorruptionError

SLACK = 32 << 20
"""Bytes of metadata that any call may unpack."""
RATIO = 256
"""The same for each byte of the file that the documents take. JSON of documents that are alike
compresses to a twentieth; their vectors, ids and directory come on top."""


class Allowance:
    """Of one call. Used by one thread."""

    def __init__(self) -> None:
        self._left = SLACK

    def earn(self, stored: int) -> None:
        """So many bytes of the file were read."""
        self._left += RATIO * stored

    def spend(self, unpacked: int, where: str) -> None:
        """So many bytes of metadata came out; CorruptionError when that is too much."""
        self._left -= unpacked
        if self._left < 0:
            raise CorruptionError(
                f"{where}: metadata unpacks to more than {RATIO} times the bytes of its documents"
            )
