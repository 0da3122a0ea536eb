"""What may have been meant by a word that names nothing."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from mvdb.cli.console import one_line

MOST_NAMES = 5_000
"""Names that are compared at most: about .3 s, if they are much alike. What comes behind them is
not suggested."""
_SUGGESTED = 3
_ALIKE = 0.6
"""Least share of common characters, as difflib counts it: its own default."""


def nearest(word: str, names: Iterable[str]) -> list[str]:
    """The names most like `word`, the best first; upper and lower case count as the same."""
    folded: dict[str, str] = {}
    for name in islice(names, MOST_NAMES):
        folded.setdefault(name.casefold(), name)
    found = get_close_matches(word.casefold(), folded, _SUGGESTED, _ALIKE)
    return [folded[name] for name in found]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown `word`; empty if no name is like it."""
    return suggestion(nearest(word, names))


def suggestion(names: list[str]) -> str:
    """The end of a message that suggests these names."""
    return f"; did you mean {' or '.join(map(one_line, names))}?" if names else ""
