"""Lines of bounded length from a descriptor, and lines of JSON to one.

Both use descriptors instead of Python's files: a thread that waits in `sys.stdin` holds a lock on
which the interpreter would wait at its end.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterator
from typing import Any

MAX_LINE = 16 << 20
"""Bytes of a line, at most: a batch of some 10,000 texts, or of 1,000 matrices of numbers."""
_CHUNK = 1 << 16


def read_lines(descriptor: int, most: int = MAX_LINE) -> Iterator[bytes | None]:
    """The lines until the end of the input, without their ends; None for each one of more than
    `most` bytes, which is passed over and never held."""
    held = bytearray()
    is_too_long = False
    while chunk := os.read(descriptor, _CHUNK):
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            held += chunk[begin:end]
            yield None if is_too_long or len(held) > most else bytes(held)
            held.clear()
            is_too_long, begin = False, end + 1
        held += chunk[begin:]
        if len(held) > most:
            is_too_long = True
            held.clear()
    if is_too_long or held:
        yield None if is_too_long else bytes(held)


class LineWriter:
    """Writes whole lines; used by any number of threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, message: dict[str, Any]) -> None:
        """Writes a message as one line. Raises OSError when the reader is gone, ValueError for a
        number that JSON lacks."""
        # ASCII alone: some readers of lines end them at U+2028, too, which texts may contain.
        data = memoryview(json.dumps(message, allow_nan=False).encode("ascii") + b"\n")
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def is_read(self) -> bool:
        """Whether the output has a reader, as far as the system tells: Windows does not."""
        if not hasattr(select, "poll"):
            return True
        poll = select.poll()
        poll.register(self._descriptor, 0)  # faults alone: a pipe without a reader is one
        return not poll.poll(0)
