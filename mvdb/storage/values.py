"""Reading of stored values: what segments, codebooks and settings need of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Values(Protocol):
    """A read transaction (`ReadTransaction`), or a damaged file whose intact values were found.

    scope: what precedes the keys in the file, where the checksums of the values cover it. Empty
    but in a collection; keys are given without it."""

    scope: bytes

    def get(self, table: str, key: bytes, /) -> memoryview | None:
        """The value stored under a key, or None."""

    def whole(self, table: str, key: bytes, /) -> memoryview | None:
        """The same; what is large is asked for at once."""

    def values(self, table: str, keys: Sequence[bytes], /) -> list[memoryview | None]:
        """The same for several keys."""
