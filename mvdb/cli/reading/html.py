"""HTML stripped to its text, with headings, by the parser of the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from mvdb.cli.reading.blocks import Block
from mvdb.cli.reading.headings import Headings

_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "math", "iframe", "object"})
_BLOCK_TAGS = """
    address article aside blockquote body caption center details dialog dir div dl fieldset
    figcaption figure footer form header hgroup hr html legend main menu nav ol optgroup p pre
    section select summary table tbody tfoot thead ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_SPACE = re.compile(r"\s+")
# Tags that begin a line or leave a gap within a block, and what stands there.
_MARKS = {
    **dict.fromkeys(("br", "tr", "dt", "dd", "option"), "\n"),
    "li": "\n- ",
    "td": " ",
    "th": " ",
}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


class _Reader(HTMLParser):
    """Collects blocks; the document's title stands above its headings."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._headings = Headings()
        self._held: list[str] = []
        self._first = self._last = 0
        self._hidden: list[str] = []
        self._verbatim = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "title" and not self._hidden:
            self._flush()
            self._in_title = True
        elif tag in _MARKS:
            self._held.append(_MARKS[tag])
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._flush()
            self._verbatim += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # In HTML `<p/>` opens a paragraph, but `<script/>` here comes from XHTML and hides nothing.
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            if tag in self._hidden:
                del self._hidden[self._hidden.index(tag) :]
        elif tag == "title" and self._in_title:
            self._in_title = False
            self._headings.enter(0, self._take())
        elif tag in _HEADINGS:
            self._flush(level=_HEADINGS[tag])
        elif tag in _BLOCKS:
            self._flush()
            self._verbatim = max(0, self._verbatim - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if data.strip():
            line = self.getpos()[0]
            leading = data[: len(data) - len(data.lstrip())].count("\n")
            if not any(piece.strip("- \n") for piece in self._held):
                self._first = line + leading
            self._last = line + data.rstrip().count("\n")
        # Outside <pre> only <br> breaks a line: the source's own breaks are spaces.
        self._held.append(data if self._verbatim else _SPACE.sub(" ", data))

    def finish(self) -> list[Block]:
        self.close()
        self._flush()
        return self.blocks

    def _take(self) -> str:
        text = "".join(self._held)
        self._held = []
        if self._verbatim:
            return text.strip("\n").rstrip()
        lines = (" ".join(line.split()) for line in text.split("\n"))
        # A lone mark is of a list item whose text is a block of its own.
        return "\n".join(line for line in lines if line not in ("", "-"))

    def _flush(self, level: int = 0) -> None:
        text = self._take()
        if not text.strip():
            return
        if level:
            self._headings.enter(level, text)
        trail = self._headings.trail
        if len(trail) > 1 and trail[0] == trail[1]:
            trail = trail[1:]
        self.blocks.append(Block(text, self._first, self._last, trail, bool(self._verbatim)))


def read_html(text: str) -> Iterator[Block]:
    """Blocks of an HTML document."""
    reader = _Reader()
    reader.feed(text)
    return iter(reader.finish())
