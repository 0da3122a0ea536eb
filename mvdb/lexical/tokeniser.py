"""Texts and queries to terms: folding here, the rules of words in the core.

Folding makes one spelling of many: compatibility forms (NFKD), accents, the case of letters beyond
ASCII and decimal digits of all scripts. ASCII capitals stay, since the core parts identifiers at
them; terms are in lower case. Marks that belong to a letter of their script stay too: vowel signs
of Indic scripts, voicing of kana.

The rules of words stand at the top of `csrc/lexical/tokenise.h`. Letters are those of Unicode 14.0;
characters that Unicode has assigned since separate words.
"""

from __future__ import annotations

import importlib
import re
import threading
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mvdb import core
from mvdb.errors import InvalidInputError
from mvdb.extras import remedy

NAME = "mvdb-words"
VERSION = 1
"""Both are kept in a file. Another folding or other rules of words are another version."""

WORD, IDENTIFIER, PART, BIGRAM = (
    core.TOKEN_WORD,
    core.TOKEN_IDENTIFIER,
    core.TOKEN_PART,
    core.TOKEN_BIGRAM,
)

# ---- folding ----

_ABOVE_ASCII = re.compile(r"[^\x00-\x7f][^\x00-\x7f]*")  # is found twice as fast as with a "+"

_STRIPPED = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # combining marks
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # points of Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"  # of Arabic
    "\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # variation selectors
)

_VOICED = re.compile("[\u3046-\u30f2][\u3099\u309a]")
"""Kana and their marks, once half-width ones are full."""

_SPECIAL = {
    **dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032", "'"),
    **dict.fromkeys("\u2010\u2011", "-"),
    **dict.fromkeys("\u00a9\u00ae\u2120\u2122", " "),  # else "Java™" were "javatm"
    "\u2044": "/",
    "\u00c6": "Ae", "\u00e6": "ae", "\u0152": "Oe", "\u0153": "oe", "\u00d8": "O", "\u00f8": "o",
    "\u0141": "L", "\u0142": "l", "\u0110": "D", "\u0111": "d", "\u00d0": "D", "\u00f0": "d",
    "\u00de": "Th", "\u00fe": "th", "\u0131": "i", "\u0126": "H", "\u0127": "h", "\u0166": "T",
    "\u0167": "t", "\u1e9e": "SS",
}  # fmt: skip
"""Punctuation of words, and letters of Latin that Unicode does not decompose."""

_INVISIBLE = {"\u200b": " "}
"""Characters of format without width vanish, but the zero width space, which parts words."""

_FORMAT, _SURROGATE, _DIGIT = "Cf", "Cs", "Nd"
_UNKNOWN_CATEGORIES = ("Cn", "Co")
"""Categories of Unicode: code points that are not assigned, or for private use."""


def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == _SURROGATE:
        return " "
    if category == _FORMAT:
        return _INVISIBLE.get(character, "")
    if character in _SPECIAL:
        return _SPECIAL[character]
    parts = _STRIPPED.sub("", unicodedata.normalize("NFKD", character))
    folded = "".join(map(_fold_part, unicodedata.normalize("NFC", parts)))
    # A fraction stays apart from the number before it: 2½ is 2 and 1/2.
    return f" {folded}" if unicodedata.decomposition(character).startswith("<fraction>") else folded


def _fold_part(character: str) -> str:
    """One character of a decomposition."""
    if character.isascii():
        return character
    if unicodedata.category(character) == _DIGIT:
        return str(unicodedata.decimal(character))
    return _SPECIAL.get(character) or character.casefold()


class _Folding(dict[int, str]):
    """A table for `str.translate` that fills itself, with at most the assigned code points."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = _fold_character(character)
        if unicodedata.category(character) not in _UNKNOWN_CATEGORIES:
            self[code] = folded
        return folded


_FOLDING = _Folding()
_LONGEST_KEPT = 16
"""Characters of a run above ASCII that is kept with its folding: most are a few, and recur."""


def _fold_run(run: str) -> str:
    folded = unicodedata.normalize("NFC", run).translate(_FOLDING)
    return _VOICED.sub(lambda pair: unicodedata.normalize("NFC", pair[0]), folded)


_fold_short = lru_cache(maxsize=1 << 12)(_fold_run)


def fold(text: str) -> str:
    """The text in one spelling; ASCII is left as it is, lone surrogates become spaces."""
    if text.isascii():
        return text
    return _ABOVE_ASCII.sub(_fold_match, text)


def _fold_match(match: re.Match[str]) -> str:
    run = match[0]
    return _fold_short(run) if len(run) <= _LONGEST_KEPT else _fold_run(run)


def fold_stored(text: bytes) -> bytes:
    """`fold` of a stored text, UTF-8."""
    return text if text.isascii() else fold(text.decode("utf-8", "replace")).encode("utf-8")


def _clusters(run: str) -> list[str]:
    """A run above ASCII in pieces that fold alone to what they fold to in the run."""
    pieces: list[str] = []
    for character in run:
        # Marks, half-width ones too, and vowels and finals of Hangul compose with the character
        # before them.
        code = ord(character)
        continues = (
            unicodedata.category(character)[0] == "M"
            or code in (0xFF9E, 0xFF9F)
            or 0x1160 <= code < 0x1200
            or 0xD7B0 <= code < 0xD800
        )
        if continues and pieces:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def fold_with_offsets(text: str) -> tuple[str, Sequence[int]]:
    """`fold(text)`, and for each of its characters, and its end, where that stands in `text`."""
    if text.isascii():
        return text, range(len(text) + 1)
    folded: list[str] = []
    offsets = array("q")
    end = 0
    for run in _ABOVE_ASCII.finditer(text):
        folded.append(text[end : run.start()])
        offsets.extend(range(end, run.start()))
        end = run.start()
        for piece in _clusters(run[0]):
            replacement = _fold_run(piece)
            folded.append(replacement)
            offsets.extend([end] * len(replacement))
            end += len(piece)
    folded.append(text[end:])
    offsets.extend(range(end, len(text) + 1))
    return "".join(folded), offsets


# ---- tokens ----


class Token(NamedTuple):
    """A term and the range of characters of the folded text that it stands for."""

    term: str
    kind: int
    """WORD, IDENTIFIER, PART of the word or identifier before it, or BIGRAM."""
    first: int
    last: int


def tokens(text: str) -> list[Token]:
    """The tokens of a text: words and identifiers in their order, each before its parts. A term has
    at most `core.MAX_TERM` bytes; a longer one is cut, its range is not."""
    return folded_tokens(fold(text))


def folded_tokens(folded: str) -> list[Token]:
    """The tokens of a text that `fold` made."""
    return [Token(term.decode("utf-8"), *rest) for term, *rest in folded_terms(folded)]


def folded_terms(folded: str) -> list[tuple[bytes, int, int, int]]:
    """The same as plain tuples, terms in UTF-8: for texts of which few tokens are looked at."""
    encoded = folded.encode("utf-8")
    found = core.tokenise(encoded)
    if len(encoded) == len(folded):
        return found
    begins = (np.frombuffer(encoded, np.uint8) & 0xC0) != 0x80
    characters = np.concatenate([[0], np.cumsum(begins)]).tolist()
    # Before byte i stand characters[i] characters, i being the first byte of one.
    return [(term, kind, characters[first], characters[last]) for term, kind, first, last in found]


# ---- stems ----

Stem = Callable[[list[bytes]], list[bytes]]
"""Gives for each term, UTF-8, the term under which it is filed."""


def stemmer_fault(language: str) -> str | None:
    """Why this process has no stemmer for a language, with the remedy; None if it has one."""
    try:
        library = importlib.import_module("Stemmer")
    except ImportError:
        return f"stems of words need PyStemmer: {remedy('stem')}"
    known = library.algorithms()
    if language in known:
        return None
    return f"PyStemmer has no stemmer of this name; it has {', '.join(sorted(known))}"


def stemmer(language: str) -> Stem:
    """The stemmer of a language (Snowball), for vocabularies and queries. Thread-safe.

    Terms that are not letters alone are their own stems. InvalidInputError where `stemmer_fault`
    has one to tell.
    """
    fault = stemmer_fault(language)
    if fault is not None:
        raise InvalidInputError(f"{language!r}: {fault}")
    library = importlib.import_module("Stemmer")
    local = threading.local()  # a stemmer of PyStemmer is one thread's

    def stem(terms: list[bytes]) -> list[bytes]:
        if not hasattr(local, "stemmer"):
            local.stemmer = library.Stemmer(language, 0)
        words = [term.decode("utf-8") for term in terms]
        stems: list[str] = local.stemmer.stemWords(words)
        return [
            stem.encode("utf-8") if word.isalpha() and stem else term
            for term, word, stem in zip(terms, words, stems, strict=True)
        ]

    return stem
