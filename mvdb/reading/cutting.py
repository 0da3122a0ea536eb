"""Blocks into passages of a size that an encoder takes whole and a reader takes in at a glance.

A passage never reaches over a heading unless it is too short to stand alone. It ends between
paragraphs where it can, else between sentences, and within one only if that alone is too long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

from mvdb.reading.blocks import Block, count_words

SHORT = 30  # fewer words do not stand alone
ENOUGH = 120  # from here on a passage ends at the next paragraph
MOST = 180

_PARAGRAPH = "\n\n"
# After a full stop (with closing quotes) before anything but a small letter, after a full stop of
# Chinese or Japanese, and before an item of a list.
_SENTENCE_END = re.compile(
    r"[.!?…][\"'”’)\]]*\s+(?=[^a-z])|[。！？](?!\s)|\n(?=\s*(?:[-*+•]|\d+[.)])\s)"  # noqa: RUF001
)
_LINE_END = re.compile(r"\n")
_SPACE = re.compile(r"\s+")
_JOINER = "\u200d"
# Combining marks, variation selectors, the joiner of emoji and their skin tones: of the text that
# people write all but the rarest.
_JOINS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f"
    "\u0981-\u0983\u09bc-\u09cd\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200d"
    "\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff]"
)
_MOST_MARKS = 32


@dataclass(frozen=True)
class Passage(Block):
    """A stretch of a document: a part of a block, a block or several.

    Attributes:
        words: its length.
        glue: what stands between it and the text before: a paragraph's, a line's end, a space."""

    words: int = 0
    glue: str = _PARAGRAPH


def cut(blocks: Iterable[Block]) -> Iterator[Passage]:
    """Cuts blocks, given in the document's order, into passages."""
    return _fold(_sections(blocks), _join_sections)


def _sections(blocks: Iterable[Block]) -> Iterator[Passage]:
    for _, section in groupby(blocks, key=lambda block: block.trail):
        yield from _fold((piece for block in section for piece in _fit(block)), _join_pieces)


def _fold(
    passages: Iterable[Passage], join: Callable[[Passage, Passage], Passage | None]
) -> Iterator[Passage]:
    """Joins neighbours for as long as `join` does not refuse with None."""
    held: Passage | None = None
    for passage in passages:
        joined = held and join(held, passage)
        if held and not joined:
            yield held
        held = joined or passage
    if held:
        yield held


def _join_pieces(first: Passage, second: Passage) -> Passage | None:
    """Fills a passage with the pieces of one section."""
    full = first.words >= ENOUGH and second.glue == _PARAGRAPH
    if full or first.words + second.words > MOST:
        return None
    return _join(first, second, first.trail)


def _join_sections(first: Passage, second: Passage) -> Passage | None:
    """Joins two where one is too short to stand alone and the other may take it in."""
    # The last words of a section may overfill its last passage a little.
    if first.words + second.words > MOST + (SHORT if first.trail == second.trail else 0):
        return None
    within = second.trail[: len(first.trail)] == first.trail
    if first.words >= SHORT and not (second.words < SHORT and within):
        return None
    # Below a bare heading, which has its words and perhaps a mark (##) each, stands its section.
    if within and first.words <= count_words(" ".join(first.trail)) + len(first.trail):
        return _join(first, second, second.trail)
    both = takewhile(lambda pair: pair[0] == pair[1], zip(first.trail, second.trail, strict=False))
    return _join(first, second, tuple(one for one, _ in both) or first.trail)


def _join(first: Passage, second: Passage, trail: tuple[str, ...]) -> Passage:
    return replace(
        first,
        text=first.text + second.glue + second.text,
        end_line=max(first.end_line, second.end_line),
        trail=trail,
        words=first.words + second.words,
    )


def _fit(block: Block) -> Iterator[Passage]:
    """The block whole, or in sentences (lines, where lines count) if it is too long for that."""
    whole = _piece(block, 0, len(block.text), _Place(block))
    # Up to ENOUGH it fits into a passage of its own or ends one; longer ones would leave gaps.
    if whole.words <= ENOUGH:
        yield whole
        return
    ends = _LINE_END if block.verbatim else _SENTENCE_END
    place = _Place(block)
    for start, end in _split(block.text, 0, len(block.text), ends):
        for first, last in _shorten(block.text, start, end):
            yield _piece(block, first, last, place)


def _split(text: str, start: int, end: int, at: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The stretches between matches; one of nothing but space goes with the next."""
    seen = start
    for found in at.finditer(text, start, end):
        if not text[seen : found.end()].isspace():
            yield start, found.end()
            start = found.end()
        seen = found.end()
    if text[seen:end].strip() or text[start:seen].strip():
        yield start, end


def _shorten(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cuts a stretch that is too long by itself between words, or anywhere if it has no spaces."""
    if count_words(text[start:end]) <= MOST:
        yield start, end
        return
    held, words = start, 0
    for first, last in _split(text, start, end, _SPACE):
        at = first
        while at < last:
            behind = _character_end(text, min(last, at + MOST), last)
            more = count_words(text[at:behind])
            if words and words + more > MOST:
                yield held, at
                held, words = at, 0
            words += more
            at = behind
    yield held, end


def _character_end(text: str, at: int, end: int) -> int:
    """The first place from `at` on that does not divide what a reader takes for one character."""
    most = min(end, at + _MOST_MARKS)
    while 0 < at < most and (_JOINS.match(text[at]) or text[at - 1] == _JOINER):
        at += 1
    return at


class _Place:
    """Counts the lines of a block, whose pieces are asked for in order."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._at = 0
        self._line = block.line

    def line(self, at: int) -> int:
        """The line of a place of the text."""
        self._line += self._block.text.count("\n", self._at, at)
        self._at = at
        return min(self._block.end_line, self._line)


def _piece(block: Block, start: int, end: int, place: _Place) -> Passage:
    raw = block.text[start:end]
    keep = block.verbatim or start == 0  # indentation
    text = raw.rstrip() if keep else raw.strip()
    line = place.line(start + len(raw) - len(raw.lstrip()))
    last = min(block.end_line, line + raw.strip().count("\n"))
    if end == len(block.text):
        last = block.end_line
    before = start
    while before > 0 and block.text[before - 1].isspace():
        before -= 1
    space = block.text[before:start]
    glue = "\n" if "\n" in space else " " if space else ""
    glue, words = glue if start else _PARAGRAPH, count_words(text)
    return Passage(text, line, last, block.trail, block.verbatim, words, glue)
