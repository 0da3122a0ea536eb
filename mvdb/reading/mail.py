"""A mail: its subject, sender, receivers and date, and its text. Attachments are left out."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from mvdb.reading.blocks import Block, bounded_title, read_plain
from mvdb.reading.html import read_html
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading

_SHOWN = ("Subject", "From", "To", "Cc", "Date")


def read_mail(data: bytes) -> Reading:
    """A mail, below its subject; the plain text of it where it has both kinds."""
    mail = message_from_bytes(data, policy=policy.default)
    head = {name: str(mail[name]).strip() for name in _SHOWN if mail[name]}
    date = getattr(mail["Date"], "datetime", None)
    metadata = {name.lower(): value for name, value in head.items()}
    metadata |= {"date": date.isoformat()} if date else {}
    title = bounded_title(head.get("Subject", ""))
    return Reading(_blocks(mail, head, title), metadata=properties(metadata), title=title)


def _blocks(mail: EmailMessage, head: dict[str, str], subject: str) -> Iterator[Block]:
    trail = (subject,) if subject else ()
    if head:
        lines = [f"{name}: {value}" for name, value in head.items()]
        yield Block("\n".join(lines), 1, len(lines), trail)
    body = mail.get_body(("plain", "html"))
    if body is None:
        return
    text = body.get_content()
    if isinstance(text, str):
        text = text.replace("\r\n", "\n")
        is_html = body.get_content_subtype() == "html"
        for block in read_html(text).blocks if is_html else read_plain(text):
            yield Block(block.text, block.line, block.end_line, trail + block.trail, block.verbatim)
