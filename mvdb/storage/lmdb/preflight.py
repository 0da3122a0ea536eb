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
import sys

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage import cleanmark
from mvdb.storage.lmdb import check_pages, pages

_MAGIC = pages.MAGIC.to_bytes(4, sys.byteorder)
_VERSION = pages.DATA_VERSION.to_bytes(4, sys.byteorder)


def preflight(descriptor: int, path: str, *, at_rest: bool = True) -> bool:
    """Check the open file; True if its clean mark made a full check needless.

    ``at_rest=False`` says that another process is using the file right now, has checked it and may
    be writing: then only the format is checked, and the result is True.

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
    head = pages.read_at(descriptor, pages.META_END, 0)
    magic_at = next((at for at in range(0, 64, 4) if head[at : at + 4] == _MAGIC), None)
    if magic_at is None:
        raise _not_lmdb(descriptor, path, head, size)
    if magic_at < pages.HEADER.size:
        raise FormatError(
            f"{path}: made on a 32-bit machine; this one uses 64 bits. Export it there, import here"
        )
    version = int.from_bytes(head[magic_at + 4 : magic_at + 8], sys.byteorder)
    if magic_at > pages.HEADER.size or version != pages.DATA_VERSION:
        raise FormatError(
            f"{path}: LMDB data version {version}; this library reads version {pages.DATA_VERSION}"
        )
    if len(head) < pages.META_END:
        raise CorruptionError(f"{path}: truncated to {size} bytes, inside its first page")
    page_size = pages.meta_of(head).page_size
    if page_size not in pages.SIZES:
        raise CorruptionError(f"{path}: page 0 states a page size of {page_size} bytes")
    if size < pages.META_PAGES * page_size:
        raise CorruptionError(f"{path}: truncated to {size} bytes, inside its first two pages")
    return page_size


def _check_transaction_numbers(descriptor: int, path: str, page_size: int) -> None:
    """LMDB reads the meta page with the higher transaction number, and nothing else protects these
    numbers: one flipped bit could bring back the state before the last commit. But commits take
    turns, the even ones on page 0, so the two numbers differ by exactly one."""
    heads = (pages.read_at(descriptor, pages.META_END, page * page_size) for page in (0, 1))
    even, odd = (pages.meta_of(head).transaction for head in heads)
    if even == odd == 0:
        return  # made by LMDB, without a commit: not a file of mvdb
    if even % 2 or not odd % 2 or abs(even - odd) != 1:
        raise CorruptionError(
            f"{path}: the meta pages state the transactions {even} and {odd}, which do not follow "
            "each other"
        )


def _not_lmdb(descriptor: int, path: str, head: bytes, size: int) -> Exception:
    if _MAGIC[::-1] in head[:64]:
        return FormatError(
            f"{path}: made on a machine of the other byte order; this one is "
            f"{sys.byteorder}-endian. Export it there, import here"
        )
    for page_size in pages.SIZES:
        if pages.read_at(descriptor, 8, page_size + pages.HEADER.size) == _MAGIC + _VERSION:
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
