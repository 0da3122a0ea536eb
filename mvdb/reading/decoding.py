"""Bytes of a file to text.

1. A byte order mark decides.
2. Else what the file says of itself: `<meta charset>` of HTML, the declaration of XML, PEP 263 of
   Python.
3. Else UTF-8, if the bytes are valid.
4. Else the encoding that charset-normalizer finds likely: a guess, which the caller is told.

Bytes with zeros or many control characters are no text, unless a mark or the guess says otherwise.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from mvdb.reading.unreadable import BINARY, Unreadable

_MARKS = (  # those of UTF-32 begin like those of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = {
    "html": re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([-\w.:]+)", re.IGNORECASE),
    "xml": re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([-\w.:]+)"),
    "python": re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE),
}
_DECLARED_WITHIN = {"html": 4096, "xml": 256}
_NOT_OF_FILES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Encodings of Python that no file has; some take quadratic time."""
_SNIFF = 8192
_WIDE_BYTES = 32
_GUESSED_BYTES = 1 << 16
"""A guess looks at the beginning alone: it takes a time of its own for each of 90 encodings."""


class Text(NamedTuple):
    """The text of a file, lines ended by newlines; its encoding; whether that is a guess."""

    text: str
    encoding: str
    is_guess: bool

    @property
    def note(self) -> str:
        """What a user is told of a guess; empty if it is none."""
        return f"read as {self.encoding}, a guess" if self.is_guess else ""


def decode(data: bytes) -> Text:
    """The text of a file's bytes; Unreadable if they are none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _text(data.decode(encoding), encoding, is_guess=False)
            except UnicodeError as error:
                raise Unreadable(f"not valid {encoding.upper()}", "encoding") from error
    if not _is_binary(data[:_SNIFF]):
        for encoding in (*_declared(data), "utf-8"):
            with suppress(UnicodeError):
                return _text(data.decode(encoding), encoding, is_guess=False)
    encoding = _guessed(data)
    return _text(data.decode(encoding, errors="replace"), encoding, is_guess=True)


def _text(text: str, encoding: str, *, is_guess: bool) -> Text:
    text.encode()  # UnicodeEncodeError for halves of pairs of UTF-16: UTF-7 may give them
    # Lines end as in an editor: not at form feeds, as str.splitlines has it.
    return Text(with_newlines(text), encoding, is_guess)


def with_newlines(text: str) -> str:
    """The text with lines ended by newlines alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _declared(data: bytes) -> Iterator[str]:
    """The encodings that the file itself names, if Python knows them."""
    parts = {kind: data[:most] for kind, most in _DECLARED_WITHIN.items()}
    parts["python"] = b"\n".join(data[:1024].split(b"\n")[:2])
    for kind, part in parts.items():
        found = _DECLARED[kind].search(part)
        if found:
            with suppress(LookupError, UnicodeError):
                name = found[1].decode()
                known = codecs.lookup(name).name
                if known not in _NOT_OF_FILES:
                    b" ".decode(known, "replace")  # LookupError unless it is an encoding of text
                    yield known


def _is_binary(head: bytes) -> bool:
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return b"\0" in head or control > len(head) // 100


def _guessed(data: bytes) -> str:
    """The likely encoding; Unreadable where there is none."""
    head = data[:_GUESSED_BYTES]
    if _is_binary(head[:_SNIFF]):
        return _wide(head)
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return "cp1252"
    best = from_bytes(head).best()
    if best is None:
        raise Unreadable("binary", BINARY)
    return best.encoding


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: of most characters of a script with letters one byte is zero, always
    the same."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) >= _WIDE_BYTES and max(even, odd) * 3 > len(head) and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    raise Unreadable("binary", BINARY)
