"""What looks like text and says nothing: encoded data and generated lines.

They are blanked, line by line, so that the others keep their numbers."""

from __future__ import annotations

import re

_ENCODED = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
"""Base64, hexadecimal digits and the like. The longest word of a language has under 200."""
_CHECKED = re.compile(r"^.{200,}$", re.MULTILINE)
_LONG = 2000
_WORD = 15
"""Characters for each space, at most: prose has 6 to 9, minified lines 20 and more."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def without_noise(text: str) -> str:
    """The text without runs of encoded data and minified lines."""
    return _CHECKED.sub(lambda line: _cleaned(line[0]), text)


def _cleaned(line: str) -> str:
    line = _ENCODED.sub(" ", line)
    if len(line) < _LONG or line.count(" ") * _WORD >= len(line):
        return line
    unspaced = len(line) - len(_UNSPACED.sub("", line))
    return line if unspaced * 4 >= len(line) else ""
