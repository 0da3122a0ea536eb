"""Readers by the endings of files' names; what has no reader of its own is read as plain text.

A reader takes the text of a file, or its bytes where the format is not text, and gives blocks in
the document's order. `register_reader` adds one."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

from mvdb.arguments import flag
from mvdb.errors import InvalidInputError, shown
from mvdb.extras import remedy
from mvdb.reading.blocks import Block, bounded_title, lines_of, paragraphs, read_plain
from mvdb.reading.code import read_code
from mvdb.reading.decoding import decode
from mvdb.reading.front_matter import without_front_matter
from mvdb.reading.noise import without_noise
from mvdb.reading.result import Blocks, Reading, failures_by_name

TextReader = Callable[[str], Iterable[Block] | Reading]
BytesReader = Callable[[bytes], Iterable[Block] | Reading]


def _lazy(module: str, name: str) -> Callable[[Any], Iterable[Block] | Reading]:
    """A reader whose module is imported when it first reads: some need libraries."""

    def read(content: Any) -> Iterable[Block] | Reading:
        reader = getattr(importlib.import_module(f"mvdb.reading.{module}"), name)
        result: Iterable[Block] | Reading = reader(content)
        return result

    return read


def _read_lines(text: str) -> Iterable[Block]:
    return paragraphs(lines_of(text), 1, verbatim=True)


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
    **dict.fromkeys(["adoc", "asciidoc"], _lazy("headed", "read_asciidoc")),
    "org": _lazy("headed", "read_org"),
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
_OF_MARKUP = frozenset({"html", "htm", "xhtml"})
"""Noise is sought in the text alone: a whole page may be one line that is mostly tags."""
_WRITTEN = _OF_MARKUP | {"md", "markdown", "mdx", "rst", "org", "adoc", "asciidoc"}
_HEADED = _WRITTEN | {"tex", "ipynb", "docx", "odt"}
"""The first heading of these is the title, unless they name another."""
_WITH_FRONT_MATTER = _WRITTEN | {"txt", "text"}


def register_reader(
    suffix: str, reader: Callable[[Any], Iterable[Block] | Reading], *, binary: bool = False
) -> None:
    """Reads files whose names end so by a function of one's own, in this process.

    Args:
        suffix: as ``".ext"``; small letters stand for both.
        reader: takes the text, line ends as ``\\n``, or with `binary` the bytes. It gives blocks in
            the document's order, or a :class:`Reading` to give metadata and a title too. It raises
            :class:`Unreadable` to leave a file out; any other exception counts as a failure of
            this file alone.
        binary: give it the bytes.

    Raises:
        InvalidInputError: the suffix does not begin with a dot, or has nothing behind it; the
            reader is no function.
    """
    if not isinstance(suffix, str) or not suffix.startswith(".") or suffix.count(".") != 1:
        raise InvalidInputError(f"suffix: a dot and an ending, as '.ext', not {shown(suffix)}")
    if len(suffix) < 2:
        raise InvalidInputError("suffix: nothing stands behind the dot; give it as '.ext'")
    if not callable(reader):
        raise InvalidInputError(f"reader: a function is needed, not {shown(reader)}")
    name = suffix[1:].lower()
    mine, other = (_OF_BYTES, _OF_TEXT) if flag("binary", binary) else (_OF_TEXT, _OF_BYTES)
    mine[name] = reader
    other.pop(name, None)


def has_reader(name: str | PurePath) -> bool:
    """Whether the ending of a name tells how to read the file."""
    suffix = _suffix(name)
    return suffix in _OF_TEXT or suffix in _OF_BYTES or suffix in _PLAIN


def is_of_bytes(name: str | PurePath) -> bool:
    """Whether the format that the ending of a name tells is no text."""
    return _suffix(name) in _OF_BYTES


def read_bytes(name: str | PurePath, data: bytes) -> Reading:
    """A file of this name with these bytes.

    Raises:
        Unreadable: it is left out, or its reader failed; the message says why.
    """
    with failures_by_name():
        if is_of_bytes(name):
            return _reading(_suffix(name), _OF_BYTES[_suffix(name)], data)
        found = decode(data)
        return read_text(name, found.text, found.note)


def read_text(name: str | PurePath, text: str, note: str = "") -> Reading:
    """A file of this name with this text, lines ended by newlines.

    note: what a user is told of the text.

    Raises:
        Unreadable: as `read_bytes`.
    """
    suffix = _suffix(name)
    metadata: dict[str, Any] = {}
    if suffix in _WITH_FRONT_MATTER:
        text, metadata, said = without_front_matter(text)
        note = "; ".join(filter(None, (note, said)))
    text = text if suffix in _OF_MARKUP else without_noise(text)
    reader = _OF_TEXT.get(suffix) or _plain_reader(PurePath(name).name.lower(), text)
    with failures_by_name():
        try:
            return _reading(suffix, reader, text, metadata, note)
        except ImportError as error:
            missing = f"{error.name} is not installed ({remedy('cli')})"
            warnings.warn(f".{suffix} files are read as plain text: {missing}", stacklevel=2)
            return _reading("", read_plain, text, metadata, note)


def _suffix(name: str | PurePath) -> str:
    return PurePath(name).suffix[1:].lower()


def _plain_reader(name: str, text: str) -> TextReader:
    return read_code if name in _CODE_NAMES or text.startswith("#!") else read_plain


def _reading(
    suffix: str,
    reader: Callable[[Any], Iterable[Block] | Reading],
    content: Any,
    front_matter: dict[str, Any] | None = None,
    note: str = "",
) -> Reading:
    def blocks_of(result: Iterable[Block] | Reading) -> Iterable[Block]:
        return result.blocks if isinstance(result, Reading) else result

    result = reader(content)
    blocks = Blocks(blocks_of(result), lambda: blocks_of(reader(content)))
    own = result if isinstance(result, Reading) else Reading(blocks)
    metadata = {**own.metadata, **(front_matter or {})}
    title = metadata.get("title")
    title = title if isinstance(title, str) else own.title
    if not title and suffix in _HEADED:
        title = next((block.trail[0] for block in blocks.beginning if block.trail), "")
    return Reading(
        blocks, "; ".join(filter(None, (note, own.note))), metadata, bounded_title(title)
    )
