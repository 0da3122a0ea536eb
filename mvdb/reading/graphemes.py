"""Places at which a text may be divided: not within what a reader takes for one character.

The rules are those of extended grapheme clusters (Unicode Standard Annex 29), widened where the
standard library has no table: a joiner joins whatever follows it, and a virama joins the letter
behind it in every script. So a place given here is a boundary of clusters; a few boundaries are not
given."""

from __future__ import annotations

import re
import unicodedata

MOST_JOINED = 64
"""Code points of one cluster. Texts have under 32 (UAX 15, stream-safe format); clusters of more
are divided anywhere."""

_ALONE = re.compile("[\t\n\x20-\x7e]")
_JOINER = "\u200d"
_EXTENDS = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\uff9e\uff9f]")
"""Extending characters that are no marks: joiners, skin tones, tags of flags, half-width marks."""
_PREPENDS = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")
_LEADING = re.compile("[\u1100-\u115f\ua960-\ua97c]")
_VOWEL = re.compile("[\u1160-\u11a7\ud7b0-\ud7c6]")
_TRAILING = re.compile("[\u11a8-\u11ff\ud7cb-\ud7fb]")
_SYLLABLE = re.compile("[\uac00-\ud7a3]")
_VIRAMA = 9
"""Canonical combining class."""


def is_boundary(text: str, at: int) -> bool:
    """Whether a text may be divided before the character at `at`."""
    if not 0 < at < len(text):
        return True
    before, behind = text[at - 1], text[at]
    if _ALONE.match(before) and _ALONE.match(behind):
        return True
    if before == "\r" and behind == "\n":
        return False
    if before in "\r\n" or behind in "\r\n":
        return True
    if _extends(behind) or before == _JOINER or _PREPENDS.match(before):
        return False
    if _FLAG.match(before) and _FLAG.match(behind):
        return _flags_before(text, at) % 2 == 0
    return not (_is_syllable(before, behind) or _is_conjunct(text, at))


def boundary_near(text: str, at: int, least: int) -> int:
    """The last boundary from `least` + 1 to `at`, else the first one behind `at`; `at` itself if
    there is none within MOST_JOINED."""
    back = range(at, max(least, at - MOST_JOINED), -1)
    ahead = range(at + 1, min(len(text), at + MOST_JOINED) + 1)
    return next((place for place in (*back, *ahead) if is_boundary(text, place)), at)


def _extends(character: str) -> bool:
    return bool(_EXTENDS.match(character)) or unicodedata.category(character)[0] == "M"


def _flags_before(text: str, at: int) -> int:
    """Regional indicators in front of `at`, of which two are a flag."""
    count = 0
    while count < at and _FLAG.match(text[at - count - 1]):
        count += 1
    return count


def _is_syllable(before: str, behind: str) -> bool:
    """Whether two letters belong to one syllable of Hangul."""
    if _LEADING.match(before):
        return any(kind.match(behind) for kind in (_LEADING, _VOWEL, _SYLLABLE))
    if _VOWEL.match(before) or (_SYLLABLE.match(before) and (ord(before) - 0xAC00) % 28 == 0):
        return bool(_VOWEL.match(behind) or _TRAILING.match(behind))
    if _SYLLABLE.match(before) or _TRAILING.match(before):
        return bool(_TRAILING.match(behind))
    return False


def _is_conjunct(text: str, at: int) -> bool:
    """Whether a virama joins the letter at `at` to the one before (``क्ष``)."""
    place = at - 1
    while place > max(0, at - MOST_JOINED) and _extends(text[place]):
        if unicodedata.combining(text[place]) == _VIRAMA:
            return unicodedata.category(text[at])[0] == "L"
        place -= 1
    return False
