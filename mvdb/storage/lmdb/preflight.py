"""Looks at a file before liblmdb does, because liblmdb trusts every byte it maps.

On a truncated file it dies of SIGBUS, on a zeroed page it calls ``abort()``. So: is this an LMDB
file of this kind of machine at all, is its page structure whole, and does the file reach to the
last page in use? (Not: to the last page it counts. Commits leave pages unwritten that ended up free
at the end of the file, so intact files can be much shorter than their meta page says.) Nothing is
mapped, and memory is bounded by a few bytes per page.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from typing import Final

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage import cleanmark
from mvdb.storage.lmdb import check_pages

_MAGIC: Final = 0xBEEFC0DE
_DATA_VERSION: Final = 1
"""The data version of LMDB 0.9, the only one this library writes."""
_PAGE_HEADER: Final = 16
_META: Final = struct.Struct("=IIQQ48s48sQQ")
_PAGE_SIZES: Final = (4096, 8192, 16384, 32768)
"""What LMDB 0.9 can use. A file keeps the size of the machine that made it, and any reads it."""


def preflight(descriptor: int, path: str, *, at_rest: bool = True) -> bool:
    """Check the open file; True if its clean mark made a full check needless.

    ``at_rest=False`` says that another process is using the file right now, has checked it and may
    be writing: then only the format is looked at, and the result is True.

    Raises `FormatError` for what is not such a file, or comes from an unlike machine or a newer
    LMDB; `CorruptionError` for a damaged or truncated one.
    """
    size = regular_file_size(descriptor, path)
    if size == 0:
        raise FormatError(
            f"{path}: the file is empty, not an mvdb file; remove it to create a database there"
        )
    page_size = _read_page_size(descriptor, path, size)
    if not at_rest:
        return True
    _check_transaction_numbers(descriptor, path, page_size)
    if cleanmark.is_marked(descriptor):
        return True
    _verify_structure(descriptor, path, size, page_size)
    return False


def regular_file_size(descriptor: int, path: str) -> int:
    """Bytes of the open file. Raises `FormatError` for a device, a FIFO or another one that is
    none of bytes at rest."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{path}: not a regular file")
    return status.st_size


def _read_page_size(descriptor: int, path: str, size: int) -> int:
    head = check_pages.read_at(descriptor, _PAGE_HEADER + _META.size, 0)
    magic_at = _find_magic(head)
    if magic_at is None:
        raise _not_lmdb(descriptor, path, head, size)
    if magic_at < _PAGE_HEADER:
        raise FormatError(
            f"{path}: made on a 32-bit machine; this one uses 64 bits. Export it there, import here"
        )
    version = struct.unpack_from("=I", head, magic_at + 4)[0] if len(head) >= magic_at + 8 else 0
    if magic_at > _PAGE_HEADER or version != _DATA_VERSION:
        raise FormatError(
            f"{path}: LMDB data version {version}; this library reads version {_DATA_VERSION}"
        )
    if len(head) < _PAGE_HEADER + _META.size:
        raise CorruptionError(f"{path}: truncated to {size} bytes, inside its first page")
    # LMDB keeps the page size in the first field of the free list's record.
    page_size: int = struct.unpack_from("=I", _META.unpack_from(head, _PAGE_HEADER)[4])[0]
    if page_size not in _PAGE_SIZES:
        raise CorruptionError(f"{path}: page 0 states a page size of {page_size} bytes")
    if size < 2 * page_size:
        raise CorruptionError(f"{path}: truncated to {size} bytes, inside its first two pages")
    return page_size


def _check_transaction_numbers(descriptor: int, path: str, page_size: int) -> None:
    """LMDB reads the meta page with the higher transaction number, and nothing else protects these
    numbers: one flipped bit could bring back the state before the last commit. But commits take
    turns, the even ones on page 0, so the two numbers differ by exactly one."""
    even, odd = (
        _META.unpack(check_pages.read_at(descriptor, _META.size, page * page_size + _PAGE_HEADER))[
            -1
        ]
        for page in (0, 1)
    )
    if even == odd == 0:
        return  # made by LMDB, and nothing committed: not one of ours
    if even % 2 or not odd % 2 or abs(even - odd) != 1:
        raise CorruptionError(
            f"{path}: the meta pages state the transactions {even} and {odd}, which do not follow "
            "each other"
        )


def _find_magic(head: bytes) -> int | None:
    for offset in range(0, min(len(head), 64) - 3, 4):
        if struct.unpack_from("=I", head, offset)[0] == _MAGIC:
            return offset
    return None


def _not_lmdb(descriptor: int, path: str, head: bytes, size: int) -> Exception:
    swapped = _MAGIC.to_bytes(4, "big" if sys.byteorder == "little" else "little")
    if swapped in head[:64]:
        return FormatError(
            f"{path}: made on a machine of the other byte order; this one is "
            f"{sys.byteorder}-endian. Export it there, import here"
        )
    for page_size in _PAGE_SIZES:
        twin = check_pages.read_at(descriptor, _PAGE_HEADER + 8, page_size)
        if len(twin) == _PAGE_HEADER + 8 and struct.unpack_from("=II", twin, _PAGE_HEADER) == (
            _MAGIC,
            _DATA_VERSION,
        ):
            return CorruptionError(f"{path}: the first page of the file was overwritten")
    return FormatError(f"{path}: not an mvdb file ({size} bytes that begin with {head[:16]!r})")


def _verify_structure(descriptor: int, path: str, size: int, page_size: int) -> None:
    findings = check_pages.walk(descriptor, path, size)
    if findings.problems:
        count = len(findings.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise CorruptionError(f"{path}: damaged page structure: {findings.problems[0]}{more}")
    if findings.last_page is not None and size < (findings.last_page + 1) * page_size:
        raise CorruptionError(
            f"{path}: truncated: {size} bytes, its content reaches to byte "
            f"{(findings.last_page + 1) * page_size}"
        )
