"""A file's pages in the system's cache: which are there, and dropping them. Linux.

`posix_fadvise` leaves pages alone that a process has mapped. So the searching process lets go of
its own mapping first (MADV_DONTNEED on a shared mapping of a file loses nothing), and mincore says
whether it worked.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from pathlib import Path

_PROT_READ, _MAP_SHARED, _MADV_DONTNEED = 1, 1, 4
_FAILED = ctypes.c_void_p(-1).value
_TRIES = 200
_SECONDS_BETWEEN = 0.002

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def _check(result: int | None, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def resident_bytes(path: str) -> int:
    """Bytes of the file that are in the page cache, whoever brought them there."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return 0
        address = _libc.mmap(None, size, _PROT_READ, _MAP_SHARED, file.fileno(), 0)
    if address == _FAILED:
        _check(-1, "mmap")
    try:
        pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        _check(_libc.mincore(address, size, pages), "mincore")
    finally:
        _libc.munmap(address, size)
    return sum(byte & 1 for byte in pages.raw) * mmap.PAGESIZE


def release_mapping(path: str) -> None:
    """Takes the file's pages out of this process's mappings of it; they come back when used."""
    real = os.path.realpath(path)
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {real}"):
            first, last = (int(part, 16) for part in line.split()[0].split("-"))
            _check(_libc.madvise(first, last - first, _MADV_DONTNEED), "madvise")


def drop(path: str) -> None:
    """Drops all of a file from the page cache; it must have been written out (`sync`).

    Raises RuntimeError when pages stay, as they do while another process has them mapped."""
    left = 0
    with open(path, "rb") as file:
        for _ in range(_TRIES):
            release_mapping(path)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            left = resident_bytes(path)
            if left == 0:
                return
            time.sleep(_SECONDS_BETWEEN)  # pages that are being read ahead cannot go yet
    raise RuntimeError(f"{path}: {left:,} bytes stay in the page cache; has another process it?")


def sync(path: str) -> None:
    """Writes out what the system has not yet written of the file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
