"""Phrases in stored texts: term indexes keep no positions, so texts decide.

A phrase is the sequence of the tokeniser's words, without parts: "foo bar" is not in `foo.bar`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mvdb import core
from mvdb.lexical.tokeniser import fold_stored


def counts(words: Sequence[bytes], folded: Sequence[bytes]) -> core.Numbers:
    """How often each folded text (`tokeniser.fold_stored`) has the words one behind the other;
    occurrences may overlap.

    words: terms of the tokeniser, at least one.
    """
    return core.phrase_counts(core.TermNames(words), folded)


def occurrences(words: Sequence[bytes], text: bytes) -> int:
    """`counts` of one stored text, UTF-8."""
    return int(counts(words, [fold_stored(text)])[0])


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
