"""Tensors of a file that `torch.save` wrote, as arrays mapped from the file; torch is not needed.

Such a file is a zip archive (since torch 1.6): `NAME/data.pkl`, a pickle that describes the value,
and one uncompressed member `NAME/data/KEY` for each storage. The pickle is read as data
(`mvdb.importers.pickle_values`); of calls in it, that of `torch._utils._rebuild_tensor_v2` alone is
understood.
"""

from __future__ import annotations

import errno
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError
from mvdb.importers import pickle_values
from mvdb.importers.pickle_values import Made, Name, Persistent, UnreadablePickle

_REBUILD = Name("torch._utils", "_rebuild_tensor_v2")
_TYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
    "ShortStorage": np.dtype("<i2"),
    "ByteStorage": np.dtype("u1"),
    "CharStorage": np.dtype("i1"),
}
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,  # an encrypted member
    ValueError,
    KeyError,
    EOFError,
    OSError,  # a position before the file
)
"""What zipfile raises for malformed archives."""
_MAX_DESCRIPTION = 1 << 20
_LOCAL_HEADER = 30
_MAX_DIMENSIONS = 4


def load(path: Path) -> Any:
    """The value of the file: a read-only array for a tensor, or lists and tuples of them.

    Raises InvalidInputError for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).value()
    except _FAULTS as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the system, not of the content
        raise InvalidInputError(
            f"{path}: not a file of tensors as torch.save writes it since version 1.6 ({error})"
        ) from None


class _Archive:
    """The members of an open archive."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._members = {info.filename: info for info in archive.infolist()}
        descriptions = [name for name in self._members if name.endswith("/data.pkl")]
        if len(descriptions) != 1:
            raise UnreadablePickle(f"{len(descriptions)} members are named data.pkl")
        self._prefix = descriptions[0].removesuffix("data.pkl")
        self._description = self._read(archive, descriptions[0])
        order = f"{self._prefix}byteorder"
        if order in self._members and self._read(archive, order) != b"little":
            raise UnreadablePickle("the bytes of its numbers are in big-endian order")

    def value(self) -> Any:
        return self._converted(pickle_values.read(self._description), depth=0)

    def _read(self, archive: zipfile.ZipFile, name: str) -> bytes:
        info = self._members[name]
        if info.file_size > _MAX_DESCRIPTION:
            raise UnreadablePickle(f"member {name} has {info.file_size:,} bytes")
        return archive.read(info)

    def _converted(self, value: Any, depth: int) -> Any:
        if isinstance(value, (list, tuple)) and depth < 4 and len(value) <= 64:
            return type(value)(self._converted(one, depth + 1) for one in value)
        if isinstance(value, Made) and value.maker == _REBUILD:
            return self._tensor(value.arguments)
        what: object = type(value).__name__
        if isinstance(value, Made) and isinstance(value.maker, Name):
            what = value.maker
        raise UnreadablePickle(f"it has {what} where a tensor is expected")

    def _tensor(self, arguments: Any) -> NDArray[Any]:
        if not isinstance(arguments, tuple) or len(arguments) < 4:
            raise UnreadablePickle("a tensor without storage, offset, size and stride")
        storage, offset, size, stride = arguments[:4]
        values = self._storage(storage)
        sizes, strides = _numbers(size), _numbers(stride)
        (first,) = _numbers((offset,))
        contiguous = tuple(math.prod(sizes[place + 1 :]) for place in range(len(sizes)))
        count = math.prod(sizes)
        if count and any(
            one > 1 and given != expected
            for one, given, expected in zip(sizes, strides, contiguous, strict=True)
        ):
            raise UnreadablePickle("a tensor that is not contiguous")
        if first + count > len(values):
            raise UnreadablePickle(f"a tensor of {count:,} numbers in a storage of {len(values):,}")
        return values[first : first + count].reshape(sizes)

    def _storage(self, given: Any) -> NDArray[Any]:
        """The numbers of a storage, mapped from the archive."""
        parts = given.id if isinstance(given, Persistent) else None
        if not isinstance(parts, tuple) or len(parts) != 5 or not isinstance(parts[2], str):
            raise UnreadablePickle("a tensor without a storage")
        kind = parts[1].name if isinstance(parts[1], Name) else ""
        if kind not in _TYPES:
            raise UnreadablePickle(f"a tensor of the type {kind or 'unknown'}")
        info = self._members.get(f"{self._prefix}data/{parts[2]}")
        if info is None:
            raise UnreadablePickle(f"the member data/{parts[2]} is missing")
        if info.compress_type != zipfile.ZIP_STORED:
            raise UnreadablePickle(f"the member {info.filename} is compressed")
        (count,) = _numbers((parts[4],))
        if count * _TYPES[kind].itemsize > info.file_size:
            raise UnreadablePickle(f"the member {info.filename} is too short")
        return self._mapped(info, _TYPES[kind], count)

    def _mapped(self, info: zipfile.ZipInfo, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
            lengths = (
                np.frombuffer(header, "<u2", 2, _LOCAL_HEADER - 4) if len(header) == 30 else ()
            )
            begin = info.header_offset + _LOCAL_HEADER + int(sum(map(int, lengths)))
            end = begin + count * dtype.itemsize
            if len(header) < _LOCAL_HEADER or end > file.seek(0, 2):
                raise UnreadablePickle(f"the member {info.filename} is cut off")
        if not count:
            return np.empty(0, dtype)
        return np.memmap(self._path, dtype, mode="r", offset=begin, shape=count)


def _numbers(values: Any) -> tuple[int, ...]:
    """Whole numbers from 0 on, of a size or stride."""
    fits = isinstance(values, tuple) and len(values) <= _MAX_DIMENSIONS
    if not fits or not all(type(one) is int and 0 <= one < 1 << 48 for one in values):
        raise UnreadablePickle("a tensor of an impossible size")
    return tuple(values)
