"""A mail: its subject, sender, receivers and date, and its text. Attachments are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from typing import Any, cast

from mvdb.reading.blocks import Block, bounded_title, read_plain
from mvdb.reading.decoding import decode
from mvdb.reading.html import read_html
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_SHOWN = ("Subject", "From", "To", "Cc", "Date")
MOST_HEADER = 2_000
"""Characters of a header that are read: Python's parser of headers takes quadratic time."""
MOST_HEADERS = 10_000
"""Lines of the head."""
MOST_PARTS = 10_000
"""Lines that may divide parts. A part is an object of some KiB."""
_HEAD_END = re.compile(rb"\n\r?\n")


class _Policy(EmailPolicy):
    """Headers as text, of which the rest behind MOST_HEADER characters is left out."""

    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        name, _, value = sourcelines[0].partition(":")
        held = [value.lstrip(" \t")[:MOST_HEADER]]
        for line in sourcelines[1 : MOST_HEADER // 2]:
            held.append(line[:MOST_HEADER])
        return name, "".join(held)[:MOST_HEADER].rstrip("\r\n")


def read_mail(data: bytes) -> Reading:
    """A mail, below its subject; the plain text of it where it has both kinds."""
    if data.count(b"\n--") > MOST_PARTS:
        raise Unreadable(f"more than {MOST_PARTS:,} parts", "too large")
    found = _HEAD_END.search(data)
    if data.count(b"\n", 0, found.start() if found else len(data)) > MOST_HEADERS:
        raise Unreadable(f"more than {MOST_HEADERS:,} lines of headers", "too large")
    try:
        mail = cast(EmailMessage, message_from_bytes(data, _class=EmailMessage, policy=_Policy()))
        body = mail.get_body(("plain", "html"))
        text = None if body is None else _content(body)
    except RecursionError as error:
        raise Unreadable("parts are nested too deep", "too large") from error
    head = {name: value for name in _SHOWN if (value := str(_header(mail, name) or "").strip())}
    date = getattr(_header(mail, "Date"), "datetime", None)
    metadata = {name.lower(): value for name, value in head.items()}
    metadata |= {"date": date.isoformat()} if date else {}
    title = bounded_title(head.get("Subject", ""))
    is_html = body is not None and body.get_content_subtype() == "html"
    return Reading(_blocks(head, text, is_html, title), "", properties(metadata), title)


def _blocks(head: dict[str, str], text: object, is_html: bool, subject: str) -> Iterator[Block]:
    trail = (subject,) if subject else ()
    if head:
        lines = [f"{name}: {value}" for name, value in head.items()]
        yield Block("\n".join(lines), 1, len(lines), trail)
    if not isinstance(text, str):
        return
    text = _storable(text.replace("\r\n", "\n"))
    for block in read_html(text).blocks if is_html else read_plain(text):
        yield Block(block.text, block.line, block.end_line, trail + block.trail, block.verbatim)


def _content(body: MIMEPart) -> object:
    """The content of a part; if the encoding that it names is none, decoded as files are."""
    try:
        return body.get_content()
    except (LookupError, ValueError):
        data = body.get_payload(decode=True)
        return decode(data).text if isinstance(data, bytes) else None


def _header(mail: EmailMessage, name: str) -> Any:
    """A header, decoded; None if it is absent or cannot be parsed."""
    try:
        value = mail[name]
        return value and (value if _storable(value) == value else _storable(value))
    except (ValueError, IndexError, RecursionError, AttributeError, TypeError):
        return None  # of odd syntax: the parser raises what it meets


def _storable(text: str) -> str:
    """Text without lone surrogates, by which Python's parser keeps bytes that are no text."""
    return text.encode("utf-8", "replace").decode()
