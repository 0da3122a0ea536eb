"""Hints to the system that mapped bytes are about to be read, so that it need not wait for page
after page: what a device does at once takes a fraction of what it does one by one."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Final

import numpy as np

_WILL_NEED: Final = 3  # of madvise, on Linux, macOS and the BSDs


def address_of(view: memoryview) -> int:
    """Address of a view's first byte."""
    return int(np.frombuffer(view, np.uint8).ctypes.data)


def will_read(address: int, size: int) -> None:
    """Has the system read the pages of these bytes, without waiting for them."""
    if sys.platform != "win32":
        begin = address // mmap.PAGESIZE * mmap.PAGESIZE
        _libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(address + size - begin), _WILL_NEED)


if sys.platform != "win32":
    _libc = ctypes.CDLL(None)
