"""Readers by the endings of files' names; what has no reader of its own is read as plain text.

A reader takes the text of a file, or its bytes where the format is not text, and gives blocks in
the document's order. `register_reader` adds one."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, NamedTuple

from mvdb.extras import remedy
from mvdb.reading.blocks import Block, read_plain
from mvdb.reading.code import read_code, verbatim
from mvdb.reading.decoding import Text, decode
from mvdb.reading.noise import without_noise
from mvdb.reading.unreadable import FAILED, MISSING_LIBRARY, Unreadable, shown

TextReader = Callable[[str], Iterable[Block]]
BytesReader = Callable[[bytes], "Iterable[Block] | Reading"]


class Reading(NamedTuple):
    """The blocks of a file; what a user is told of how they were read, empty if nothing."""

    blocks: list[Block]
    note: str = ""


def _lazy(module: str, name: str) -> Callable[[Any], Any]:
    """A reader whose module is imported when it first reads: some need libraries."""

    def read(content: Any) -> Reading | list[Block]:
        found = getattr(importlib.import_module(f"mvdb.reading.{module}"), name)(content)
        return found if isinstance(found, Reading) else list(found)

    return read


def _read_lines(text: str) -> Iterable[Block]:
    return verbatim(text.split("\n"), 1, ())


_CODE = """
    c h cc cpp cxx hpp hh hxx m mm cs java kt kts scala groovy swift go rs zig js mjs cjs jsx ts tsx
    rb php pl pm lua r jl sh bash zsh fish ps1 sql css scss less hs ml mli ex exs erl clj el lisp
    vim cmake mk gradle proto graphql tf pas f f90 f95 v vhd asm s
"""
_DATA = "json jsonl yaml yml toml ini cfg conf csv tsv xml svg properties env"
_OF_TEXT: dict[str, TextReader] = {
    **dict.fromkeys(_CODE.split(), read_code),
    **dict.fromkeys(_DATA.split(), _read_lines),
    **dict.fromkeys(["md", "markdown", "mdx"], _lazy("markdown", "read_markdown")),
    **dict.fromkeys(["html", "htm", "xhtml"], _lazy("html", "read_html")),
    **dict.fromkeys(["py", "pyi"], _lazy("python_source", "read_python")),
    **dict.fromkeys(["org", "adoc", "asciidoc"], _lazy("headed", "read_marked")),
    **dict.fromkeys(["srt", "vtt"], _lazy("subtitles", "read_subtitles")),
    "rst": _lazy("rst", "read_rst"),
    "tex": _lazy("headed", "read_latex"),
    "ipynb": _lazy("notebook", "read_notebook"),
}
_OF_BYTES: dict[str, BytesReader] = {
    "eml": _lazy("mail", "read_mail"),
    "pdf": _lazy("pdf", "read_pdf"),
    "docx": _lazy("office", "read_docx"),
    "pptx": _lazy("office", "read_pptx"),
    "epub": _lazy("open_documents", "read_epub"),
    **dict.fromkeys(["odt", "odp"], _lazy("open_documents", "read_open_document")),
}
_PLAIN = frozenset({"txt", "text", "log"})
_CODE_NAMES = frozenset({"makefile", "dockerfile", "rakefile", "gemfile", "cmakelists.txt"})


def register_reader(
    suffix: str, reader: Callable[[Any], Iterable[Block]], *, binary: bool = False
) -> None:
    """Reads files whose names end so by a function of one's own.

    Args:
        suffix: as ``".ext"``; small letters stand for both.
        reader: takes the text, line ends as ``\\n``, or with `binary` the bytes. It raises
            :class:`Unreadable` to leave a file out; any other exception counts as a failure of
            this file alone.
        binary: give it the bytes.

    Raises:
        ValueError: the suffix does not begin with a dot, or has nothing behind it.
    """
    if not suffix.startswith(".") or suffix.count(".") != 1 or len(suffix) < 2:
        raise ValueError(f"suffix is {suffix!r}; it must be a dot and an ending, as '.ext'")
    name = suffix[1:].lower()
    mine, other = (_OF_BYTES, _OF_TEXT) if binary else (_OF_TEXT, _OF_BYTES)
    mine[name] = reader
    other.pop(name, None)


def has_reader(name: str | PurePath) -> bool:
    """Whether the ending of a name tells how to read the file."""
    suffix = PurePath(name).suffix[1:].lower()
    return suffix in _OF_TEXT or suffix in _OF_BYTES or suffix in _PLAIN


def read_bytes(name: str | PurePath, data: bytes) -> Reading:
    """The blocks of a file of this name.

    Raises:
        Unreadable: it is left out, or its reader failed; the message says why.
    """
    suffix = PurePath(name).suffix[1:].lower()
    try:
        if suffix in _OF_BYTES:
            found = _OF_BYTES[suffix](data)
            return found if isinstance(found, Reading) else Reading(list(found))
        return _from_text(suffix, PurePath(name).name.lower(), decode(data))
    except ImportError as error:
        message = f"needs {error.name}: {remedy('files')}"
        raise Unreadable(message, MISSING_LIBRARY) from error
    except Unreadable:
        raise
    except Exception as error:  # of a reader or the library behind it, for this file alone
        raise Unreadable(f"{type(error).__name__}: {shown(error)}", FAILED) from error


def _from_text(suffix: str, name: str, found: Text) -> Reading:
    note = f"read as {found.encoding}, a guess" if found.is_guess else ""
    text = without_noise(found.text)
    reader = _OF_TEXT.get(suffix)
    if reader is None:
        is_code = name in _CODE_NAMES or text.startswith("#!")
        return Reading(list((read_code if is_code else read_plain)(text)), note)
    try:
        return Reading(list(reader(text)), note)
    except ImportError as error:
        missing = f"{error.name} is not installed ({remedy('cli')})"
        warnings.warn(f".{suffix} files are read as plain text: {missing}", stacklevel=2)
        return Reading(list(read_plain(text)), note)
