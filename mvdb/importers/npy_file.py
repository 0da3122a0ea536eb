"""Arrays of numbers in .npy files, mapped read-only. Objects are refused.

The form: magic, version, length of the header, and a header that describes the array as text of
Python. numpy evaluates that text; here a regular expression takes it apart, so that no text leads
to anything but the three fields. Source: NEP 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 4096
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=]?)([a-z])(\d{1,2})',\s*'fortran_order':\s*False,\s*"
    rb"'shape':\s*\(([\d, ]*)\),?\s*\}\s*"
)
_MAX_DIMENSIONS = 4


def load(path: Path) -> NDArray[Any]:
    """The array of a file, in C order.

    Raises InvalidInputError for anything but little-endian integers and floats, or a file shorter
    than its header says."""
    with path.open("rb") as file:
        prologue = file.read(12)
        version = prologue[6:7]
        wide = version in (b"\x02", b"\x03")
        size = int.from_bytes(prologue[8 : 12 if wide else 10], "little")
        begin = (12 if wide else 10) + size
        if not prologue.startswith(_MAGIC) or not (wide or version == b"\x01"):
            raise InvalidInputError(f"{path}: no array of numpy")
        file.seek(begin - size)
        header = file.read(size) if size <= _MAX_HEADER else b""
        length = file.seek(0, 2)
    found = _HEADER.fullmatch(header)
    if found is None:
        raise InvalidInputError(f"{path}: an array of a form that is not read")
    order, kind, width, dimensions = found.groups()
    shape = tuple(int(one) for one in dimensions.replace(b" ", b"").split(b",") if one)
    if kind not in b"iuf" or width not in (b"1", b"2", b"4", b"8") or kind + width == b"f1":
        raise InvalidInputError(f"{path}: an array of the type {(kind + width).decode()}")
    if order == b">" or len(shape) > _MAX_DIMENSIONS:
        raise InvalidInputError(f"{path}: an array of a form that is not read")
    dtype = np.dtype(f"<{kind.decode()}{width.decode()}")
    needed = begin + math.prod(shape) * dtype.itemsize
    if needed > length:
        raise InvalidInputError(f"{path}: cut off: {length:,} bytes instead of {needed:,}")
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=begin, shape=shape)
