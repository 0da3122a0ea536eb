"""Blocks into passages of a size that an encoder takes whole and a reader takes in at a glance.

A passage never reaches over a heading unless it is too short to stand alone. It ends between
paragraphs where it can, else between sentences (lines, where lines count), and within one only if
that alone is too long: then between words, within a word only if that is too long itself, and never
within a character."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mvdb.arguments import whole_number
from mvdb.errors import InvalidInputError, shown
from mvdb.reading.blocks import Block, count_words
from mvdb.reading.passages import Passage, begins_with
from mvdb.reading.pieces import PARAGRAPH, Piece, ending, pieces_of, whole_piece

_MOST_WORDS = 100_000


@dataclass(frozen=True, slots=True)
class Cutting:
    """How long passages are, in words as :attr:`Passage.words` counts them.

    Attributes:
        size: from so many words on, a passage ends at the next paragraph. A section of under a
            quarter of it does not stand alone: it is joined to a neighbour. 1 to 100,000.
        most: no passage has more words, except that the last words of a section, under a quarter of
            `size`, stay with the passage before. At least `size`.
        overlap: at most so many words of the end of a passage, whole sentences (lines of code), are
            repeated at the beginning of the next one of the same section. 0: none; at most
            ``most - size``.

    Raises:
        InvalidInputError: a number is out of its range.
    """

    size: int = 120
    most: int = 180
    overlap: int = 0

    def __post_init__(self) -> None:
        whole_number("size", self.size, 1, _MOST_WORDS)
        whole_number("most", self.most, self.size, _MOST_WORDS)
        whole_number("overlap", self.overlap, 0, self.most - self.size)

    @property
    def short(self) -> int:
        """Sections of fewer words are joined to a neighbour."""
        return self.size // 4


def cut(blocks: Iterable[Block], cutting: Cutting | None = None) -> Iterator[Passage]:
    """Cuts blocks into passages.

    Every word of the blocks is in a passage, in their order, and but for an overlap in one alone.
    Time is proportional to the length of the text. Passages are given as soon as they are complete,
    so that the blocks of a long document need not be held.

    Args:
        blocks: in the document's order.
        cutting: the length of passages; ``None`` stands for ``Cutting()``.

    Raises:
        InvalidInputError: `cutting` is no :class:`Cutting`.
        Unreadable: while the blocks of a file were read, it turned out to be damaged.
    """
    if cutting is not None and not isinstance(cutting, Cutting):
        raise InvalidInputError(f"cutting: a Cutting or None is needed, not {shown(cutting)}")
    return _Cutter(cutting or Cutting()).passages(blocks)


class _Draft:
    """A passage that may still grow."""

    __slots__ = ("pieces", "trail", "words")

    def __init__(self, piece: Piece) -> None:
        self.pieces = [piece]
        self.words = piece.words
        self.trail = piece.trail

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.words += piece.words


class _Cutter:
    def __init__(self, cutting: Cutting) -> None:
        self._size = cutting.size
        self._short = cutting.short
        self._most = cutting.most - cutting.overlap
        self._overlap = cutting.overlap

    def passages(self, blocks: Iterable[Block]) -> Iterator[Passage]:
        before: _Draft | None = None
        for draft in self._joined(blocks):
            repeated = self._repeated(before, draft) if before and self._overlap else None
            yield _passage(draft.pieces, draft.trail, repeated)
            before = draft

    def _joined(self, blocks: Iterable[Block]) -> Iterator[_Draft]:
        """Drafts of sections, joined where one is too short to stand alone."""
        held: _Draft | None = None
        for draft in self._sections(blocks):
            if held is not None and not self._join(held, draft):
                yield held
                held = None
            held = held or draft
        if held is not None:
            yield held

    def _join(self, first: _Draft, second: _Draft) -> bool:
        """Joins two where one is too short to stand alone and the other may take it in."""
        same = first.trail == second.trail
        # The last words of a section may overfill its last passage a little.
        if first.words + second.words > self._most + (self._short if same else 0):
            return False
        within = same or second.trail[: len(first.trail)] == first.trail
        if first.words >= self._short and not (second.words < self._short and within):
            return False
        if not same:
            first.trail = _trail_of_both(first, second, within)
        first.pieces += second.pieces
        first.words += second.words
        return True

    def _sections(self, blocks: Iterable[Block]) -> Iterator[_Draft]:
        """Drafts filled with the blocks of one section each."""
        size, most = self._size, self._most
        held: _Draft | None = None
        for block in blocks:
            if held is not None and block.trail != held.trail:
                yield held
                held = None
            # A paragraph is divided only if no passage takes it whole: divided ones answer worse
            # (docs/benchmarks.md, "Length of passages").
            piece = whole_piece(block, most)
            if piece is None:
                full = held is not None and held.words >= size
                room = 0 if held is None or full else most - held.words
                for piece in pieces_of(block, room, most):
                    # The first one goes into the room that is left; each of the others is full.
                    if held is not None and piece.words <= room:
                        held.add(piece)
                    else:
                        if held is not None:
                            yield held
                        held = _Draft(piece)
                    room = 0
            elif not piece.words:
                continue
            elif held is None:
                held = _Draft(piece)
            elif held.words >= size or held.words + piece.words > most:
                yield held
                held = _Draft(piece)
            else:
                held.add(piece)
        if held is not None:
            yield held

    def _repeated(self, before: _Draft, draft: _Draft) -> Piece | None:
        """The end of the draft before, of the same section, that is said again in `draft`."""
        first = draft.pieces[0]
        if _is_headed(first):
            return None
        room, kept = self._overlap, []
        for piece in reversed(before.pieces):
            if piece.trail != first.trail:
                break
            part = piece if piece.words <= room else ending(piece, room)
            if part is None:
                break
            kept.append(part)
            room -= part.words
            if part is not piece or _is_headed(piece):
                break
        if not kept:
            return None
        text, words = _text(kept[::-1]), sum(piece.words for piece in kept)
        last, trail = kept[0], first.trail
        verbatim = all(piece.verbatim for piece in kept)
        return Piece(text, PARAGRAPH, words, kept[-1].line, last.end_line, trail, verbatim)


def _is_headed(piece: Piece) -> bool:
    return bool(piece.trail) and begins_with(piece.text, piece.trail[-1:])


def _trail_of_both(first: _Draft, second: _Draft, within: bool) -> tuple[str, ...]:
    # Below a bare heading, which has its words and perhaps a mark (##) each, stands its section.
    if within and first.words <= count_words(" ".join(first.trail)) + len(first.trail):
        return second.trail
    common = 0
    for one, other in zip(first.trail, second.trail, strict=False):
        if one != other:
            break
        common += 1
    return first.trail[:common] or first.trail


def _passage(pieces: list[Piece], trail: tuple[str, ...], repeated: Piece | None) -> Passage:
    text, words = _text(pieces), sum(piece.words for piece in pieces)
    line, length = pieces[0].line, 0
    if repeated is not None:
        before = repeated.text + pieces[0].glue
        text, length = before + text, len(before)
        words += repeated.words
        line = min(line, repeated.line)
    end_line = max(piece.end_line for piece in pieces)
    verbatim = all(piece.verbatim for piece in pieces)
    return Passage(text, line, end_line, trail, verbatim, words, length)


def _text(pieces: list[Piece]) -> str:
    first, *others = pieces
    return "".join(chain([first.text], *((piece.glue, piece.text) for piece in others)))
