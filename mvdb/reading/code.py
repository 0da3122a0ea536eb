"""Source code of any language, whole: cut at definitions, which are told by indentation.

A definition begins at a line without indentation that follows a blank line or the end of another
one, or at a comment right above it. Its name heads its blocks; within it, blocks end at blank
lines. Nothing is parsed: the same rule serves all languages that people indent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from mvdb.reading.blocks import MOST_ALONE, Block, paragraphs

_COMMENT = re.compile(r"(?://|/\*|\*|#(?!include|define|if|el|end|pragma|undef)|--|;|%|\"\"\")")
_CLOSES = re.compile(r"[)\]}>]|(?:end|else|elif|elsif|fi|done|esac|then)\b|(?:catch|finally)\b")
# What the two begin with: most lines need no more than a look at it.
_COMMENT_BEGINS, _CLOSING_BEGINS = frozenset('/*#-;%"'), frozenset(")]}>efdtc")
_WORDS = (
    "class struct union enum interface trait impl protocol extension record object module "
    "namespace package func function fn fun def defp defmodule sub proc procedure macro "
    "macro_rules type typedef create table view trigger"
)
_NAMED = re.compile(
    rf"\b(?:{'|'.join(_WORDS.split())})\b!?\s+(?:\([^()]*\)\s*)?([A-Za-z_$][\w$.:]*)", re.IGNORECASE
)
_CALLED = re.compile(r"([A-Za-z_~$][\w$:~]*)\s*\(")
_ASSIGNED = re.compile(r"([A-Za-z_$][\w$.]*)\s*(?::[^=]+)?=")
_NAMES = re.compile(r"[\s(=]")
"""What the three have in common."""
_HEAD_LINES = 5
"""A definition names itself in its first lines, comments apart."""


def read_code(text: str) -> Iterator[Block]:
    """Blocks of source code, lines as they are, the definition's name above them."""
    lines = text.split("\n")
    starts = [*islice(_starts(lines), MOST_ALONE), len(lines)]
    for first, last in pairwise([0, *starts] if starts[0] else starts):
        name = _name(lines[first:last])
        trail = (name,) if name else ()
        yield from paragraphs(lines[first:last], first + 1, trail, verbatim=True)


def _starts(lines: Sequence[str]) -> Iterator[int]:
    """The lines at which definitions begin, comments above them included."""
    after_end = True
    comment: int | None = None
    for number, line in enumerate(lines):
        if not line.strip():
            after_end, comment = True, None
            continue
        first = line[0]
        outermost = not first.isspace()
        if first in _COMMENT_BEGINS and _COMMENT.match(line):
            if comment is None and after_end:
                comment = number
                yield number
            after_end = False
        elif outermost and not (first in _CLOSING_BEGINS and _CLOSES.match(line)):
            if after_end and comment is None:
                yield number
            after_end, comment = False, None
        else:
            after_end = outermost
            comment = None if outermost else comment


def _name(lines: Sequence[str]) -> str:
    """The name that a definition gives itself; empty if none is seen."""
    said = (line for line in lines if line.strip() and not _COMMENT.match(line.lstrip()))
    heads = [line for line in islice(said, _HEAD_LINES) if _NAMES.search(line)]
    for pattern in (_NAMED, _CALLED, _ASSIGNED):
        for line in heads:
            found = pattern.search(line[:400]) if not line[0].isspace() else None
            if found:
                return found[1]
    return ""
