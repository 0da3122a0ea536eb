"""The rules of csrc/lexical/tokenise.h once more, in plain Python over strings of classes: one
letter for each character, so that runs are regular expressions."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator

WORD, IDENTIFIER, PART, BIGRAM = range(4)
LONGEST = 64

UNSPACED = (
    "CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA",
    "COMBINING KATAKANA", "HENTAIGANA", "BOPOMOFO", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR",
)  # fmt: skip

_W = "[aA0x_]"
_JOINT = re.compile(rf"[-.'/@](?={_W})|::(?={_W})|(?<=0):(?={_W})|:(?=0)|(?<=0),(?=0)|(?<=A)&(?=A)")
_SUFFIX = re.compile(rf"(?<=[aA])(?:\+\+|#(?!{_W}))")


def class_of(character: str) -> str:
    """a, A, 0, _, x (other letter), c (unspaced), ASCII punctuation itself, or a space."""
    if character.isascii():
        kinds = (("a", str.islower), ("A", str.isupper), ("0", str.isdigit))
        return next((kind for kind, has in kinds if has(character)), character)
    if unicodedata.category(character)[0] not in "LMN":
        return " "
    return "c" if unicodedata.name(character, "").startswith(UNSPACED) else "x"


def size(text: str) -> int:
    return len(text.encode("utf-8"))


def cut(text: str) -> str:
    """In lower case, at most LONGEST bytes."""
    lower = "".join(one.lower() if one.isascii() else one for one in text)
    return lower.encode("utf-8")[:LONGEST].decode("utf-8", "ignore")


class Reference:
    """The tokens of one folded text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.classes = "".join(map(class_of, text))

    def tokens(self) -> list[tuple[str, int, int, int]]:
        return [
            (cut(self.text[first:last]), kind, first, last) for kind, first, last in self.ranges()
        ]

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        at = 0
        while at < len(self.text):
            unspaced = re.compile("c+").match(self.classes, at)
            if unspaced is not None:
                first, last = unspaced.span()
                pairs = [(one, one + 2) for one in range(first, last - 1)] or [(first, last)]
                yield from ((BIGRAM, *pair) for pair in pairs)
                at = last
            elif re.match(_W, self.classes[at]):
                last = self.end(at)
                if self.classes[at:last].strip("_-.'/@:,&"):
                    yield (IDENTIFIER if self.is_identifier(at, last) else WORD, at, last)
                    yield from ((PART, *part) for part in self.parts(at, last, 0))
                at = last
            else:
                at += 1

    def end(self, first: int) -> int:
        words = re.compile(f"{_W}+")
        found = words.match(self.classes, first)
        assert found is not None
        last = found.end()
        while size(self.text[first:last]) < LONGEST:
            joint = _JOINT.match(self.classes, last)
            if joint is None:
                break
            found = words.match(self.classes, joint.end())
            assert found is not None
            last = found.end()
        suffix = _SUFFIX.match(self.classes, last)
        return last if suffix is None else suffix.end()

    def is_identifier(self, first: int, last: int) -> bool:
        classes = self.classes[first:last]
        pieces = self.pieces(first, last, 0)
        short = [piece for piece in pieces if size(self.text[slice(*piece)]) <= LONGEST]
        return (
            re.search("[0_+#@:,&]", classes) is not None
            or any(len(self.pieces(*piece, 2)) > 1 for piece in short)
            or classes.count("/") > 1
            or ("." in classes and any(size(self.text[slice(*piece)]) > 1 for piece in pieces))
        )

    def parts(self, first: int, last: int, level: int) -> Iterator[tuple[int, int]]:
        if level == 4 or (level >= 2 and size(self.text[first:last]) > LONGEST):
            return
        for piece in self.pieces(first, last, level):
            is_single = size(self.text[slice(*piece)]) == 1
            is_clitic = piece[0] > first and self.text[piece[0] - 1] == "'"
            is_dropped = is_single and (level >= 2 or is_clitic)
            if piece != (first, last) and not is_dropped:
                yield piece
            yield from self.parts(*piece, level + 1)

    def pieces(self, first: int, last: int, level: int) -> list[tuple[int, int]]:
        """At joints; at underscores, without suffixes; at capitals; between letters and digits."""
        classes = self.classes[first:last]
        if level == 0:
            return [at(first, one) for one in re.finditer("[^-.'/@:,&]+", classes)]
        if level == 1:
            return [at(first, one) for one in re.finditer("[^_+#]+", classes)]
        if level == 2:
            borders = [one for one in range(1, len(classes)) if self.parts_at(first, last, one)]
        else:
            groups = [len(list(group)) for _, group in itertools.groupby(classes, "0".__eq__)]
            borders = groups[:1] if len(groups) == 2 else []
        bounds = [0, *borders, len(classes)]
        return [(first + begin, first + end) for begin, end in itertools.pairwise(bounds)]

    def parts_at(self, first: int, last: int, at: int) -> bool:
        """Whether a capital begins a piece."""
        before, here, behind = (self.classes[first:last] + " ")[at - 1 : at + 2]
        is_plural = self.text[first + at + 1 : last] == "s"
        return here == "A" and (before in "ax" or (behind == "a" and not is_plural))


def at(first: int, found: re.Match[str]) -> tuple[int, int]:
    return first + found.start(), first + found.end()
