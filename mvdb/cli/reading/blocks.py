"""The unit between a file's format and its passages: a paragraph that knows where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Scripts written without spaces count by character, and a run without spaces (base64, a URL) by
# the piece: both come close to what an encoder's tokeniser makes of them.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]{{1,16}}")


@dataclass(frozen=True)
class Block:
    """A paragraph, heading or code block.

    Attributes:
        text: as in the file, indentation included.
        line, end_line: its first and last line in the file, from 1.
        trail: the headings above it, outermost first; a heading's own trail ends with itself.
        verbatim: its line breaks mean something (code)."""

    text: str
    line: int
    end_line: int
    trail: tuple[str, ...] = ()
    verbatim: bool = False


def count_words(text: str) -> int:
    """Length of `text` in words, counting long unbroken runs and unspaced scripts by their size."""
    return sum(1 for _ in _WORD.finditer(text))


def paragraphs(lines: Iterable[tuple[int, str]], trail: tuple[str, ...] = ()) -> Iterator[Block]:
    """Cuts numbered lines into blocks at blank lines."""
    held: list[str] = []
    first = last = 0
    for number, line in lines:
        if line.strip():
            first = first if held else number
            last = number
            held.append(line.rstrip())
        elif held:
            yield Block("\n".join(held), first, last, trail)
            held = []
    if held:
        yield Block("\n".join(held), first, last, trail)
