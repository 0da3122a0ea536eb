"""PDF: the text of its pages, by pypdf in a process with limits.

The number of a page is the line of its blocks."""

from __future__ import annotations

import atexit
import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mvdb.reading.blocks import Block, bounded_title, paragraphs
from mvdb.reading.json_values import properties
from mvdb.reading.limited_process import SECONDS, LimitedProcess
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_PROCESS = LimitedProcess("mvdb.reading.pdf_pages", "pages")


@atexit.register
def end_process() -> None:
    """Ends the process that reads; the next PDF starts another."""
    _PROCESS.end()


def read_pdf(data: bytes) -> Reading:
    """The pages; words that a line's end divides are joined. Unreadable for a file that asks for a
    password or has no text, as scans have none.

    Of a document that takes too long, the pages that were read in time, with a note."""
    importlib.import_module("pypdf")  # ImportError here, as of every reader
    answer, is_whole = _PROCESS.ask(data)
    for value in answer:
        if "reason" in value:
            raise Unreadable(value["reason"], value["kind"])
    about, pages = answer[0] if answer else {}, answer[1:]
    if is_whole and not any(page["text"].strip() for page in pages):
        raise Unreadable("has no text (scanned pages?)", "no text")
    if not pages:
        raise Unreadable(f"needs too much memory, or more than {SECONDS} s", "too large")
    left = f"{about['pages'] - len(pages):,} of {about['pages']:,} pages are left out"
    note = "" if is_whole else f"{left}: reading takes too long"
    return Reading(
        _blocks(pages), note, properties(about["metadata"]), bounded_title(about["title"])
    )


def _blocks(pages: Iterable[dict[str, Any]]) -> Iterator[Block]:
    for number, page in enumerate(pages, 1):
        for block in paragraphs(_HYPHEN.sub("", page["text"]).split("\n"), 1):
            yield Block(block.text, number, number)
