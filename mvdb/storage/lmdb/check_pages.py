"""Walks the pages of a database at rest and reports their faults.

The work is done by py-lmdb's pure-Python verifier. This module changes it in three points:

* liblmdb overwrites a large value with a smaller one in place and keeps all pages of the extent.
  That is sound (it frees what the extent's header says) but the verifier calls it damage.
* The verifier reads only the first page of an extent, so a file cut inside its last value passes;
  the number of the last page in use shows it.
* It marks and compares pages one by one, which takes seconds for a file of tens of gigabytes.

A file that is being written can be walked, too: a read transaction keeps the pages of its state
from being used again, and `pages.state_head` stands for the two that are written in place.

The class that is bent is private to py-lmdb. Should its shape change, the public function is used
and the three improvements are lost, not the check.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import lmdb.verify
import numpy as np

from mvdb.errors import CorruptionError
from mvdb.storage.lmdb import pages

_USED: Final = ("_bigdata", "_check_cover", "_read_at", "err", "read_extent", "verify")
"""Methods of py-lmdb's class that are called or replaced here."""

_SLIPS: Final = (ArithmeticError, LookupError, MemoryError, RecursionError, ValueError)

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = getattr(lmdb.verify, "_Verifier", object)


@dataclass(frozen=True)
class Findings:
    """What a walk found: descriptions of problems, and the last page in use (None: not known)."""

    problems: list[str]
    last_page: int | None


class _Verifier(_Base):  # type: ignore[misc]
    """py-lmdb's verifier with extents handled as liblmdb handles them, and faster."""

    def _bigdata(
        self, ctx: Any, pgno: int, i: int, buf: bytes, doff: int, dsize: int, want_bytes: bool
    ) -> bytes | None:
        where = f"{ctx['name']} DB: page {pgno} node {i}"
        if doff + 8 > self.psize:
            self.err(f"{where}: reference to an extent overruns the page")
            return None
        (first,) = pages.NUMBER.unpack_from(buf, doff)
        needed = (self.hdrsz - 1 + dsize) // self.psize + 1
        is_inside = pages.META_PAGES <= first < self.next_pgno
        head = self._read_at(first * self.psize, pages.EXTENT.size) if is_inside else b""
        if len(head) < pages.EXTENT.size:
            self.err(f"{where}: extent at page {first} is out of range")
            return None
        number, _, flags, count = pages.EXTENT.unpack(head)
        end = first + count
        if number != first or flags != pages.OVERFLOW or count < needed or end > self.next_pgno:
            self.err(
                f"{where}: extent at page {first} has a bad header (page {number}, "
                f"flags {flags:#x}, {count} pages where {needed} are needed)"
            )
            return None
        if self.live.find(1, first, end) >= 0:
            self.err(f"{where}: extent at page {first} shares pages with another")
            return None
        self.live[first:end] = b"\x01" * count
        ctx["overflow"] += count
        if not want_bytes:
            return None
        extent = self.read_extent(first, needed)
        return None if extent is None else bytes(extent[self.hdrsz : self.hdrsz + dsize])

    def check_roots(self) -> None:
        """The flags of the two trees every environment has.

        The verifier takes any sound combination, but liblmdb asserts that the main tree, which
        holds the tables' records, has no duplicates: one flipped bit, and the process aborts.
        """
        for name, tree, expected in (
            ("free list", self.meta.free, pages.INTEGER_KEY),
            ("table list", self.meta.main, 0),
        ):
            # The free list's field also holds flags of the environment: here, that it is one file.
            if tree.flags & ~pages.ONE_FILE != expected:
                self.err(f"{name}: flags {tree.flags:#x} where {expected:#x} are expected")

    def _check_cover(self) -> None:
        live = np.frombuffer(self.live, dtype=np.uint8)[pages.META_PAGES :]
        free = np.frombuffer(self.free, dtype=np.uint8)[pages.META_PAGES :]
        # Every page is in exactly one of the two sets; on the slow path the base finds the words.
        if not np.all(live ^ free):
            super()._check_cover()


class _Stopped(BaseException):
    """`check` has raised ``error``. No handler for damage catches it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Pages(io.RawIOBase):
    """A file as the verifier reads it, without moving the position that others share.

    ``head``: bytes to be read at its beginning instead of those that are there. ``check``: called
    at each read; may raise."""

    def __init__(self, descriptor: int, head: bytes, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check
        self._descriptor = descriptor
        self._head = head
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        assert whence == os.SEEK_SET
        self._position = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        try:
            self._check()
        except Exception as error:
            raise _Stopped(error) from None
        at, head = self._position, self._head
        data = head[at : at + size]
        if len(data) < size:
            data += pages.read_at(self._descriptor, size - len(data), at + len(data))
        self._position += len(data)
        return data


def walk(
    descriptor: int,
    path: str,
    size: int,
    head: bytes = b"",
    check: Callable[[], None] = lambda: None,
) -> Findings:
    """Verify the open file of ``size`` bytes, which nobody writes meanwhile; or, with the ``head``
    of a state that a read transaction keeps (see `pages.state_head`), that state of it. ``check``
    is called at each read of pages; what it raises ends the walk.

    Raises `CorruptionError` if it cannot be walked at all; what was found otherwise is returned.
    Memory: about two bytes per page, bounded by the file's size.
    """
    try:
        if not is_as_known():
            public: Any = lmdb.verify.verify
            return Findings([] if head else list(public(path, subdir=False)), None)
        verifier = _Verifier(_Pages(descriptor, head, check), size)
        verifier.verify()
        verifier.check_roots()
        return Findings(list(verifier.errors), verifier.live.rfind(1))
    except _Stopped as stopped:
        raise stopped.error from None
    except lmdb.verify.VerifyError as error:
        raise CorruptionError(f"{path}: damaged ({error})") from None
    except (*_SLIPS, struct.error) as error:
        # The verifier is made for hostile files; should one get through it, that is still damage.
        raise CorruptionError(f"{path}: damaged (cannot be walked: {error!r})") from error


def is_as_known() -> bool:
    """Whether the class that is bent has the methods that are used: see `_USED`."""
    base = getattr(lmdb.verify, "_Verifier", None)
    return base is not None and all(callable(getattr(base, name, None)) for name in _USED)
