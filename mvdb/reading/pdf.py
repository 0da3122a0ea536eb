"""PDF: the text of its pages, by pypdf in a process with limits.

The number of a page is the line of its blocks."""

from __future__ import annotations

import atexit
import importlib
import re

from mvdb.reading.blocks import Block, paragraphs
from mvdb.reading.formats import Reading
from mvdb.reading.limited_process import SECONDS, LimitedProcess
from mvdb.reading.unreadable import Unreadable

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_PROCESS = LimitedProcess("mvdb.reading.pdf_pages", "pages")


@atexit.register
def end_process() -> None:
    """Ends the process that reads; the next PDF starts another."""
    _PROCESS.end()


def read_pdf(data: bytes) -> Reading:
    """Blocks of the pages; words that a line's end divides are joined. Unreadable for a file that
    asks for a password or has no text, as scans have none.

    Of a document that takes too long, the pages that were read in time, with a note."""
    importlib.import_module("pypdf")  # ImportError here, as of every reader
    answer, is_whole = _PROCESS.ask(data)
    blocks, number, total = [], 0, 0
    for value in answer:
        if "reason" in value:
            raise Unreadable(value["reason"], value["kind"])
        number, total = value["page"], value["of"]
        for block in paragraphs(_HYPHEN.sub("", value["text"]).split("\n"), 1):
            blocks.append(Block(block.text, number, number))
    if is_whole and not blocks:
        raise Unreadable("has no text (scanned pages?)", "no text")
    if not blocks:
        raise Unreadable(f"needs too much memory, or more than {SECONDS} s", "too large")
    left = f"{total - number:,} of {total:,} pages are left out: they take too long"
    return Reading(blocks, "" if is_whole else left)
