"""What is stored and shown, and what an encoder is given of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mvdb.reading.blocks import Block

# Of headings in Markdown, Org, AsciiDoc and LaTeX, and of a mail's subject.
_MARKUP = re.compile(r"[\s#=*}]*(?:\\[a-z]+\*?(?:\[[^\]\n]*\])?\{|Subject: )?")
_SPACE = re.compile(r"\s*")


@dataclass(slots=True)
class Passage(Block):
    """A stretch of a document: a part of a block, a block or several.

    Attributes:
        text: as it is to be shown.
        line: its first line in the file, from 1.
        end_line: its last line.
        trail: the headings that stand above all of it, outermost first.
        verbatim: all its line breaks mean something (code, rows of a table).
        words: its length; a run of more than 16 characters counts for each 16 of them, Chinese,
            Japanese and Korean for each character.
        repeated: characters at the beginning of `text` that repeat the end of the passage before.
    """

    words: int = 0
    repeated: int = 0

    @property
    def encoded(self) -> str:
        """What an encoder is to be given: the trail, joined by `` > ``, a line's end, and the text.
        Headings with which the text itself begins are not said twice."""
        missing = self.trail
        for count in range(len(self.trail)):
            if begins_with(self.text, self.trail[count:]):
                missing = self.trail[:count]
                break
        return " > ".join(missing) + "\n" + self.text if missing else self.text


def begins_with(text: str, titles: Sequence[str]) -> bool:
    """Whether headings, markup apart, are what a text begins with."""
    at = 0
    for title in titles:
        at = _end(_MARKUP, text, at)
        for word in title.split():
            at = _end(_SPACE, text, at)
            if not text.startswith(word, at):
                return False
            at += len(word)
    return not text[at : at + 1].isalnum()


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
