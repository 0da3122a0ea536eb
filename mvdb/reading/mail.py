"""A mail: its subject, sender, receivers and date, and its text. Attachments are left out."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy

from mvdb.reading.blocks import Block, read_plain
from mvdb.reading.html import read_html

_SHOWN = ("Subject", "From", "To", "Cc", "Date")


def read_mail(data: bytes) -> Iterator[Block]:
    """Blocks of a mail, below its subject; the plain text of it where it has both kinds."""
    mail = message_from_bytes(data, policy=policy.default)
    shown = [(name, str(mail[name])) for name in _SHOWN if mail[name]]
    subject = str(mail["Subject"] or "").strip()
    trail = (subject,) if subject else ()
    head = [f"{name}: {value}" for name, value in shown]
    if head:
        yield Block("\n".join(head), 1, len(head), trail)
    body = mail.get_body(("plain", "html"))
    if body is None:
        return
    text = body.get_content()
    if isinstance(text, str):
        text = text.replace("\r\n", "\n")
        read = read_html if body.get_content_subtype() == "html" else read_plain
        for block in read(text):
            yield Block(block.text, block.line, block.end_line, trail + block.trail, block.verbatim)
