"""Blocks in pieces: whole if they are short, else as much of them at a time as a passage takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mvdb.reading.blocks import Block, count_words, end_of_words
from mvdb.reading.graphemes import boundary_near, is_boundary

PARAGRAPH = "\n\n"

# After a full stop (with closing quotes) before anything but a small letter, after a full stop of
# Chinese or Japanese, and before an item of a list.
_SENTENCE_END = re.compile(
    r"[.!?…][\"'”’)\]]*\s+(?=[^a-z\s])|[。！？](?!\s)"  # noqa: RUF001
    r"|\n(?=[ \t]{0,20}(?:[-*+•]|\d{1,9}[.)])\s)"
)
_LINE_END = re.compile(r"\n")
_LOOKAHEAD = 40
"""Characters behind a sentence's end that tell whether it is one."""
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff"
_UNIT = re.compile(f"[{_IDEOGRAPHS}]|[^\\s{_IDEOGRAPHS}]+")
"""What is not divided: a word, or a character of a script without words between spaces."""
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)*")
_MOST_WORD = 64
"""Characters for each word of a block that is counted at once; longer ones are cut as they are."""


class Piece(NamedTuple):
    """A part of a block, or a block.

    glue: what stands between it and the text before: a paragraph's, a line's end, a space."""

    text: str
    glue: str
    words: int
    line: int
    end_line: int
    trail: tuple[str, ...]
    verbatim: bool


def whole_piece(block: Block, most: int) -> Piece | None:
    """The block as one piece; None if it has more than `most` words."""
    text = block.text
    if len(text) > most * _MOST_WORD:
        return None
    words = count_words(text)
    if words > most:
        return None
    line, end = block.line, block.end_line
    return Piece(text.rstrip(), PARAGRAPH, words, line, end, block.trail, block.verbatim)


def pieces_of(block: Block, room: int, most: int) -> Iterator[Piece]:
    """The block in pieces of at most `most` words, the first one of at most `room` if something of
    it can be cut off so short; each as long as it can be."""
    text, line = block.text, block.line
    at, glue = 0, PARAGRAPH
    while at < len(text):
        end = _sentences_end(block, at, end_of_words(text, at, room)) if room else 0
        if not end:
            limit = end_of_words(text, at, most)
            end = _sentences_end(block, at, limit) or _between_words(text, at, limit)
        room = 0
        raw = text[at:end]
        kept = raw if block.verbatim or at == 0 else _stripped(raw)  # indentation
        skipped = _BLANK_LINES.match(kept)
        kept = kept[skipped.end() if skipped else 0 :]
        line += raw.count("\n", 0, len(raw) - len(kept))
        shown = kept.rstrip()
        if shown:
            first = min(line, block.end_line)
            last = block.end_line if end == len(text) else first + shown.count("\n")
            last = min(last, block.end_line)
            words = count_words(shown)
            yield Piece(shown, glue, words, first, last, block.trail, block.verbatim)
        line += kept.count("\n")
        space = kept[len(shown) :] + text[end : end + 1]
        glue = "\n" if "\n" in space else " " if space[:1].isspace() else ""
        at = end


def ending(piece: Piece, most: int) -> Piece | None:
    """The last sentences or lines of a piece, of at most `most` words together; None if the last
    one has more."""
    text, words, start = piece.text, 0, len(piece.text)
    ends = _LINE_END if piece.verbatim else _SENTENCE_END
    for place in reversed([found.end() for found in ends.finditer(text)]):
        more = count_words(text[place:start])
        if words + more > most:
            break
        words, start = words + more, place
    if not words:
        return None
    text = text[start:] if piece.verbatim else _stripped(text[start:])
    line = max(piece.line, piece.end_line - text.count("\n"))
    end, trail, verbatim = piece.end_line, piece.trail, piece.verbatim
    return Piece(text, piece.glue, words, line, end, trail, verbatim)


def _stripped(text: str) -> str:
    """The text without space at its beginning, but with the space that carries a mark."""
    kept = text.lstrip()
    at = len(text) - len(kept)
    return kept if is_boundary(text, at) else text[at - 1 :]


def _sentences_end(block: Block, at: int, limit: int) -> int:
    """The last end of a sentence or a line between two places, or the end of the block; 0 if there
    is none."""
    text = block.text
    if limit == len(text):
        return limit
    best = 0
    if block.verbatim:
        best = text.rfind("\n", at, limit) + 1
    else:
        for found in _SENTENCE_END.finditer(text, at, limit + _LOOKAHEAD):
            if found.end() > limit:
                break
            if is_boundary(text, found.end()):
                best = found.end()
    return best if best > at and not text[at:best].isspace() else 0


def _between_words(text: str, at: int, limit: int) -> int:
    """The last place up to `limit` between two words; within the first word if it is longer."""
    if text[limit - 1].isspace() and is_boundary(text, limit):
        return limit
    starts = [found.start() for found in _UNIT.finditer(text, at, limit + 1)]
    for start in reversed(starts[1:]):
        if is_boundary(text, start):
            return start
    return boundary_near(text, limit, at)
