"""The rules by which files are cut, as each version of a file keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mvdb.documents.file_identity import Identity
from mvdb.reading.cutting import Cutting

_VERSION = 1
"""Of readers and cutting: with another one files are read again."""
_NAME = re.compile(rf"{_VERSION}:(\d{{1,6}}):(\d{{1,6}}):(\d{{1,6}})")


@dataclass(frozen=True)
class Rules:
    """How files are cut."""

    cutting: Cutting

    @property
    def name(self) -> str:
        """Tells these rules from others."""
        cutting = self.cutting
        return f"{_VERSION}:{cutting.size}:{cutting.most}:{cutting.overlap}"


def rules_of(cutting: Cutting | None, stored: Iterable[Identity]) -> Rules:
    """The rules that a caller gives; without, those of the stored files, or the default."""
    names = (one.cutting for one in stored)
    found = next(filter(None, map(_NAME.fullmatch, names)), None)
    if cutting is None and found:
        try:
            cutting = Cutting(*map(int, found.groups()))
        except ValueError:  # of a file that mvdb did not write
            cutting = None
    return Rules(cutting or Cutting())
