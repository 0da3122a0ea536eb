"""A file's pages in the system's cache: which are there, and dropping all or some of them. Linux.

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

import numpy as np
from numpy.typing import NDArray

_PROT_READ, _MAP_SHARED, _MADV_DONTNEED = 1, 1, 4
_RUN_PAGES = 32
"""Pages that the system reads ahead at once, by its default."""
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


def resident(path: str) -> NDArray[np.intp]:
    """Numbers of the file's pages that are in the page cache, whoever brought them there."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return np.empty(0, np.intp)
        address = _libc.mmap(None, size, _PROT_READ, _MAP_SHARED, file.fileno(), 0)
    if address == _FAILED:
        _check(-1, "mmap")
    try:
        pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        _check(_libc.mincore(address, size, pages), "mincore")
    finally:
        _libc.munmap(address, size)
    return np.nonzero(np.frombuffer(pages.raw, np.uint8) & 1)[0]


def _mappings(path: str) -> list[tuple[int, int, int]]:
    """Where this process has the file mapped: first address, end, offset in the file."""
    real = os.path.realpath(path)
    found = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {real}"):
            addresses, _, offset, *_ = line.split()
            first, last = (int(part, 16) for part in addresses.split("-"))
            found.append((first, last, int(offset, 16)))
    return found


def _drop_range(descriptor: int, mappings: list[tuple[int, int, int]], at: int, end: int) -> None:
    """Drops bytes at .. end - 1 of the file, first out of the mappings that cover them."""
    for first, last, offset in mappings:
        low, high = first + max(0, at - offset), min(last, first + end - offset)
        if low < high:
            _check(_libc.madvise(low, high - low, _MADV_DONTNEED), "madvise")
    os.posix_fadvise(descriptor, at, end - at, os.POSIX_FADV_DONTNEED)


def drop(path: str) -> None:
    """Drops all of a file from the page cache; it must have been written out (`sync`).

    Raises RuntimeError when pages stay, as they do while another process has them mapped."""
    left = 0
    with open(path, "rb") as file:
        for _ in range(_TRIES):
            _drop_range(file.fileno(), _mappings(path), 0, os.fstat(file.fileno()).st_size)
            left = len(resident(path)) * mmap.PAGESIZE
            if left == 0:
                return
            time.sleep(_SECONDS_BETWEEN)  # pages that are being read ahead cannot go yet
    raise RuntimeError(f"{path}: {left:,} bytes stay in the page cache; has another process it?")


def _runs(pages: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Ascending numbers of pages, divided where one is left out."""
    return np.split(pages, np.nonzero(np.diff(pages) != 1)[0] + 1)


def keep_at_most(path: str, size: int, rng: np.random.Generator) -> None:
    """Drops pages drawn at random until no more than `size` bytes of the file are in the cache.

    Raises RuntimeError when pages stay."""
    limit = size // mmap.PAGESIZE
    with open(path, "rb") as file:
        for _ in range(_TRIES):
            pages = resident(path)
            if len(pages) <= limit:
                return
            chosen = np.sort(rng.choice(pages, len(pages) - limit, replace=False))
            mappings = _mappings(path)
            for run in _runs(chosen):
                at, end = int(run[0]) * mmap.PAGESIZE, (int(run[-1]) + 1) * mmap.PAGESIZE
                _drop_range(file.fileno(), mappings, at, end)
    raise RuntimeError(f"{path}: {len(pages):,} pages stay in the page cache, not {limit:,}")


def read_at_once(path: str, pages: NDArray[np.intp]) -> float:
    """Milliseconds until pages of the file, ascending, are in the cache, asked for all at once."""
    runs = [
        (int(part[0]) * mmap.PAGESIZE, len(part) * mmap.PAGESIZE)
        for run in _runs(pages)
        for part in np.split(run, range(_RUN_PAGES, len(run), _RUN_PAGES))
    ]
    with open(path, "rb") as file:
        begin = time.perf_counter()
        for at, size in runs:
            os.posix_fadvise(file.fileno(), at, size, os.POSIX_FADV_WILLNEED)
        for at, size in runs:
            os.pread(file.fileno(), size, at)
        return (time.perf_counter() - begin) * 1e3


def sync(path: str) -> None:
    """Writes out what the system has not yet written of the file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
