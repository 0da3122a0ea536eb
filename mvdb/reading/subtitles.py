"""Subtitles (SubRip, WebVTT): what is said, without numbers and times."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mvdb.reading.blocks import Block

_TIMES = re.compile(r"\s*(?:\d+:)?\d+:\d\d[.,]\d+\s*-->\s*")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")


def read_subtitles(text: str) -> Iterator[Block]:
    """A block for each subtitle, its lines joined."""
    lines = text.split("\n")
    times = [number for number, line in enumerate(lines) if _TIMES.match(line)]
    for first, behind in zip(times, [*times[1:], len(lines)], strict=False):
        said = []
        for line in lines[first + 1 : behind]:
            if not line.strip():
                break
            said.append(_TAG.sub("", line).strip())
        if any(said):
            yield Block(" ".join(filter(None, said)), first + 2, first + 1 + len(said))
