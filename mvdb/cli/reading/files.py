"""Files and their content: finding, refusing, decoding, hashing."""

from __future__ import annotations

import os
import stat
import warnings
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import xxhash

from mvdb.cli.reading.blocks import Block, read_plain
from mvdb.cli.reading.html import read_html
from mvdb.cli.reading.markdown import read_markdown
from mvdb.cli.reading.python_source import read_python
from mvdb.cli.reading.rst import read_rst

READERS: dict[str, Callable[[str], Iterator[Block]]] = {
    ".txt": read_plain,
    ".md": read_markdown,
    ".rst": read_rst,
    ".py": read_python,
    ".html": read_html,
}

_SNIFF = 8192
_MARKS = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}


class Unreadable(Exception):
    """A file that is left out; the message says why, in a few words."""


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def find_files(
    source: Path,
    refused: Callable[[Path, str], None],
    left_out: Callable[[str], bool] = _is_hidden,
) -> Iterator[Path]:
    """The files to index under `source`, in the order of their names; itself if it is a file.

    Of a folder: files with a known suffix. Files and folders whose names are `left_out` are not
    visited, nor are symbolic links to folders. A file that is named itself is taken whatever its
    suffix. `refused` is told of folders that cannot be listed."""
    if not source.is_dir():
        yield source
        return

    def on_error(error: OSError) -> None:
        refused(Path(error.filename), error.strerror or str(error))

    for folder, folders, names in os.walk(source, onerror=on_error):
        folders[:] = sorted(name for name in folders if not left_out(name))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in READERS and not left_out(name):
                yield Path(folder, name)


def read_file(path: Path, most: int) -> tuple[str, str]:
    """The text of a file of at most `most` bytes, and the hash (XXH3, 64 bits, hex) of its bytes.

    Unreadable: it is not a regular file, too large, binary, or the system refuses."""
    try:
        status = path.stat()
        # Asked first: opening a named pipe would wait for somebody to write into it.
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a regular file")
        if status.st_size > most:
            raise Unreadable(f"larger than {most >> 20} MiB (--max-size)")
        data = path.read_bytes()
        text = _decode(data)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"not valid {error.encoding.upper()}") from error
    # Lines end as in an editor: not at form feeds, as str.splitlines has it.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, xxhash.xxh3_64_hexdigest(data)


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    head = data[:_SNIFF]
    if b"\0" not in head:
        with suppress(UnicodeDecodeError):
            return data.decode("utf-8")
        # Old single-byte text; control characters mean that the bytes are no text.
        control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
        if control <= len(head) // 100:
            return data.decode("cp1252", errors="replace")
    raise Unreadable("binary")


def read_blocks(path: Path, text: str) -> list[Block]:
    """The blocks of a file's text, by its suffix; of plain text where a library is missing."""
    suffix = path.suffix.lower()
    try:
        return list(READERS.get(suffix, read_plain)(text))
    except ImportError as error:
        missing = f"{error.name} is not installed (pip install 'mvdb-engine[cli]')"
        warnings.warn(f"{suffix} files are read as plain text: {missing}", stacklevel=2)
        return list(read_plain(text))
