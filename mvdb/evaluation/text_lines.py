"""Lines of a text file, plain or compressed, with their numbers, for messages."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO, NoReturn, cast

import zstandard

from mvdb.errors import InvalidInputError, PathError, PathNotFoundError, shown

MAX_LINE = 64 * 2**20
"""Bytes of a line, after decompression: a compressed file may hold a thousand times its size."""

Path = str | os.PathLike[str]


def refuse(path: Path, number: int, reason: str) -> NoReturn:
    """InvalidInputError about a line."""
    raise InvalidInputError(f"{os.fspath(path)}: line {number}: {reason}")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank, without its end.

    A file named ``*.gz`` or ``*.zst`` is decompressed.

    Raises PathNotFoundError, PathError; InvalidInputError for a line that is too long or no UTF-8,
    and for a damaged compressed file."""
    name = os.fspath(path)
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(_opened(name))
            number = 0
            while raw := stream.readline(MAX_LINE + 1):
                number += 1
                if len(raw) > MAX_LINE:
                    refuse(path, number, f"it has more than {MAX_LINE:,} bytes")
                text = _decoded(path, number, raw)
                if text.strip():
                    yield number, text
        except FileNotFoundError as error:
            raise PathNotFoundError(f"{name}: no such file") from error
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise InvalidInputError(f"{name}: not what its suffix says ({error})") from error
        except OSError as error:
            raise PathError(f"{name}: {error.strerror or error}") from error


def _opened(name: str) -> BinaryIO:
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(name, "rb"))
    if name.endswith(".zst"):
        source = zstandard.open(name, "rb")
        return io.BufferedReader(source)
    return open(name, "rb")


def _decoded(path: Path, number: int, raw: bytes) -> str:
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        refuse(path, number, f"not UTF-8: {shown(raw[:40])}")
