"""Reading from what Python programs hold: paths, texts, bytes, open files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError, shown
from mvdb.reading.decoding import with_newlines
from mvdb.reading.files import read_file
from mvdb.reading.formats import is_of_bytes, read_bytes, read_text
from mvdb.reading.result import Reading

MOST_READ = 256 << 20
"""Bytes of a file."""
_LONGEST_PATH = 4096


def read(source: Any, *, name: str | os.PathLike[str] | None = None) -> Reading:
    """Reads a document: its paragraphs, headings and code, its metadata and its title.

    Args:
        source: an ``os.PathLike``: the file of this path, of at most 256 MiB. A ``str``: the text
            itself. ``bytes``, ``bytearray`` or ``memoryview``: the bytes of a file. An object with
            ``read()``: an open file of text or of bytes, read from where it stands to its end; it
            is not closed.
        name: the name of the document, whose ending tells its format, as ``"notes.md"``; a path or
            an open file has one of its own. Without a known ending the document is plain text.

    Returns:
        The document. Its blocks go to :func:`cut`.

    Raises:
        InvalidInputError: `source` or `name` is of another kind; a ``str`` is the path of a file
            and no `name` says that it is meant as text; a ``str`` has a lone surrogate, or is given
            for a format that is no text.
        Unreadable: the file is gone, denied, binary, damaged, too large, or needs a library that is
            not installed; its reader failed. The message says why, `kind` which of them.
    """
    own = _name(source) if name is None else name
    if not isinstance(own, (str, os.PathLike)) or not isinstance(os.fspath(own), str):
        raise InvalidInputError(f"name: the name of a document is needed, not {shown(name)}")
    if isinstance(source, os.PathLike):
        path = os.fspath(source)
        if not path or "\0" in os.fsdecode(path):
            raise InvalidInputError(f"source: {shown(source)} is the path of no file")
        return read_bytes(os.fspath(own), read_file(Path(os.fsdecode(path)), MOST_READ))
    content = _content(source)
    if isinstance(content, bytes):
        return read_bytes(os.fspath(own), content)
    if name is None and content is source:
        _refuse_path(content)
    return _read_str(os.fspath(own), content)


def _name(source: Any) -> str:
    """The name that a path or an open file has."""
    named = source if isinstance(source, os.PathLike) else getattr(source, "name", "")
    try:
        return os.path.basename(os.fsdecode(named))
    except TypeError:  # the number of a descriptor
        return ""


def _content(source: Any) -> str | bytes:
    content = source.read() if callable(getattr(source, "read", None)) else source
    if isinstance(content, str):
        return content
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if content is source:
        raise InvalidInputError(
            "source: a path (pathlib.Path), a text, bytes or an open file is needed, not "
            f"{shown(source)}"
        )
    raise InvalidInputError(f"source: its read() gave {shown(content)}, neither text nor bytes")


def _refuse_path(text: str) -> None:
    """A path given as text would be read as a document of one line: the path itself."""
    is_name = 0 < len(text) < _LONGEST_PATH and "\n" not in text and "\0" not in text
    if is_name and os.path.isfile(text):
        raise InvalidInputError(
            f"source: {shown(text)} is the path of a file: give pathlib.Path(...) for the file, or "
            "name= if it is the text that is meant"
        )


def _read_str(name: str, text: str) -> Reading:
    if is_of_bytes(name):
        raise InvalidInputError(f"source: {shown(name)} is no format of text: give bytes")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"source: character {error.start} is a lone surrogate, which is no Unicode text"
        ) from None
    return read_text(name, with_newlines(text.removeprefix("\ufeff")))
