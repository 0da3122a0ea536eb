"""Phrases in stored texts: term indexes keep no positions, so texts decide.

A phrase is the sequence of the tokeniser's words, without parts: "foo bar" is not in `foo.bar`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mvdb.lexical.tokeniser import fold, sequence


def occurrences(words: Sequence[bytes], text: bytes) -> int:
    """How often a stored text, UTF-8, has the words one behind the other; occurrences may overlap.

    words: terms of the tokeniser, at least one.
    """
    folded = text if text.isascii() else fold(text.decode("utf-8", "replace")).encode("utf-8")
    lower = folded.lower()
    if not all(word in lower for word in words):
        return 0  # as in most texts that are asked about
    return len(places(words, sequence(folded)))


def places(words: Sequence[bytes], terms: Sequence[bytes]) -> list[int]:
    """The indexes of `terms` at which `words` begin to stand one behind the other."""
    wanted = list(words)
    found: list[int] = []
    at = -1
    while True:
        try:
            at = terms.index(wanted[0], at + 1)
        except ValueError:
            return found
        if list(terms[at : at + len(wanted)]) == wanted:
            found.append(at)
