"""Spool: bytes kept until the end of a transaction or a segment, in memory up to a size, then in a
temporary file without a name.

Refusals of the system (no room, no such folder, no descriptor left) are raised as errors of mvdb.
"""

from __future__ import annotations

import mmap
import tempfile
from contextlib import AbstractContextManager, suppress

from mvdb.storage.failures import translating
from mvdb.storage.format import Buffer


class Spool:
    """A file that grows at its end and is read from its beginning. Used by one thread.

    Has the methods of a file that `pickle` uses. Raises `StorageFullError`, `PathError`."""

    def __init__(self, folder: str, memory: int) -> None:
        """Beyond ``memory`` bytes the content goes to a file in ``folder``."""
        self._folder = folder
        self._file = tempfile.SpooledTemporaryFile(max_size=memory, dir=folder)  # noqa: SIM115
        self._is_at_end = True

    def write(self, data: Buffer) -> int:
        """Appends."""
        with self._failing("writing"):
            if not self._is_at_end:
                self._file.seek(0, 2)
                self._is_at_end = True
            return self._file.write(data)

    def rewind(self) -> None:
        """Lets the next `read` start at the first byte."""
        self._is_at_end = False
        with self._failing("writing"):
            self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        with self._failing("reading"):
            return self._file.read(size)

    def readline(self) -> bytes:
        """The next bytes to the end of a line."""
        with self._failing("reading"):
            return self._file.readline()

    def contents(self) -> memoryview:
        """Everything; mapped where it is in a file. Nothing must be written, nor the spool closed,
        while the view is in use."""
        self.rewind()
        if not getattr(self._file, "_rolled", True):
            return memoryview(self.read())
        with self._failing("mapping"):
            self._file.flush()
            return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        """Closes the file. Never fails: unwritten bytes are not needed any more."""
        with suppress(OSError):
            self._file.close()

    def _failing(self, doing: str) -> AbstractContextManager[None]:
        return translating(f"{doing} a temporary file", self._folder)
