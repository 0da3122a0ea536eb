"""Text to the tokens of a BERT model: the uncased WordPiece of Devlin et al. 2019 (BERT).

1. Names of special tokens, such as ``[CLS]``, become these tokens; the text between them:
2. Control characters are removed; whitespace is a space. CJK ideographs stand alone. Accents are
   removed (NFD without nonspacing marks), letters are small.
3. Words are cut at spaces; a punctuation character is a word.
4. A word is cut into the longest pieces of the vocabulary, from the left; a piece that continues a
   word is written ``##piece``. A word that cannot be cut, or is too long, is ``[UNK]``.

The library ``tokenizers`` gives the same tokens, but for characters that are newer than its
Unicode tables; with its requirements it takes 47 MB of disk. Thread-safe.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from importlib import resources

Span = tuple[int, int]
"""Characters ``text[start:end]``."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LONGEST_WORD = 100
_CACHED_WORDS = 1 << 16
"""Words whose pieces are kept: about 10 MB."""
_WORD = re.compile("[^ ]+")
_SPECIAL = re.compile("|".join(map(re.escape, SPECIAL)))
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""First and last code points of the blocks that BERT calls Chinese characters."""


class WordPiece:
    """The tokens of texts.

    Args:
        vocabulary: the tokens in the order of their numbers; it has all of ``SPECIAL``.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.number = {token: number for number, token in enumerate(vocabulary)}
        self._unknown = self.number["[UNK]"]
        self._longest = max(map(len, vocabulary))
        self._normalised = _Normalised()
        self._known: dict[str, list[tuple[int, int]]] = {}

    def tokens(self, text: str) -> list[int]:
        """The numbers of a text's tokens."""
        if "[" not in text:
            return self._numbers(text)
        numbers: list[int] = []
        for start, end, special in _parts(text):
            numbers += [self.number[special]] if special else self._numbers(text[start:end])
        return numbers

    def spans(self, text: str) -> list[Span]:
        """The characters of each of ``tokens(text)``."""
        spans: list[Span] = []
        for start, end, special in _parts(text):
            spans += [(start, end)] if special else self._spans(text, start, end)
        return spans

    def _numbers(self, text: str) -> list[int]:
        pieces = self._pieces
        words = text.translate(self._normalised).split()
        return [number for word in words for number, _ in pieces(word)]

    def _spans(self, text: str, first: int, last: int) -> Iterator[Span]:
        parts = [self._normalised[ord(character)] for character in text[first:last]]
        origins = [first + index for index, part in enumerate(parts) for _ in part]
        for word in _WORD.finditer("".join(parts)):
            start = word.start()
            for _, length in self._pieces(word[0]):
                yield origins[start], origins[start + length - 1] + 1
                start += length

    def _pieces(self, word: str) -> list[tuple[int, int]]:
        """Number and length in characters of each piece of a word."""
        pieces = self._known.get(word)
        if pieces is None:
            if len(self._known) >= _CACHED_WORDS:
                self._known = {}
            pieces = self._known[word] = self._cut(word)
        return pieces

    def _cut(self, word: str) -> list[tuple[int, int]]:
        unknown = [(self._unknown, len(word))]
        if len(word) > _LONGEST_WORD:
            return unknown
        pieces: list[tuple[int, int]] = []
        start, prefix = 0, ""
        while start < len(word):
            longest = min(len(word), start + self._longest)
            for end in range(longest, start, -1):
                number = self.number.get(prefix + word[start:end])
                if number is not None:
                    break
            else:
                return unknown
            pieces.append((number, end - start))
            start, prefix = end, "##"
        return pieces


def vocabulary() -> list[str]:
    """BERT's uncased vocabulary, a token a line (github.com/google-research/bert, Apache 2.0)."""
    source = resources.files("mvdb.encoders") / "minilm_vocabulary.txt"
    return source.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def is_punctuation(character: str) -> bool:
    """As BERT does: ASCII signs such as $, + and ^ too, which Unicode calls symbols."""
    return character in string.punctuation or unicodedata.category(character).startswith("P")


class _Normalised(dict[int, str]):
    """The text that a code point becomes (step 2), with spaces around what is a word of its own."""

    def __missing__(self, code: int) -> str:
        text = self[code] = _normalised(chr(code))
        return text


def _normalised(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if character.isspace():
        return " "
    parts = unicodedata.normalize("NFD", character)
    small = "".join(c.lower() for c in parts if unicodedata.category(c) != "Mn")
    text = "".join(f" {c} " if is_punctuation(c) else c for c in small)
    is_ideograph = any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)
    return f" {text} " if is_ideograph else text


def _parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each part of a text, and its name if it is a special token."""
    start = 0
    for special in _SPECIAL.finditer(text):
        yield start, special.start(), ""
        yield special.start(), special.end(), special[0]
        start = special.end()
    yield start, len(text), ""
