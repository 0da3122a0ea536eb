"""What is to be done about one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvdb.documents.file_identity import FIELD, Identity, passage_id
from mvdb.reading.passages import Passage

TRAIL = " > "
"""Between the headings of a title."""
_PIECE = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Found:
    """A file that was found: its path and the root that it belongs to, absolute both, and the hash
    of its content."""

    path: Path
    root: str
    hash: str


@dataclass(frozen=True)
class Move:
    """A whole file of known content at another path: its passages keep vectors, texts and ids."""

    before: Identity
    after: Identity


@dataclass
class Change:
    """A file that is new, changed or incomplete.

    Attributes:
        found: the file.
        identity: the version to be stored.
        before: the stored versions that it replaces.
        metadata: of all its passages.
        effort: of encoding its passages, see `effort_of`.
        left_out: numbers of passages, from 0 and before any was left out, that are nearly the same
            as others.
        passages: those that are not left out; None where memory did not suffice to keep them."""

    found: Found
    identity: Identity
    before: tuple[Identity, ...]
    metadata: dict[str, Any]
    effort: int
    left_out: frozenset[int]
    passages: Sequence[Passage] | None

    @property
    def is_begun(self) -> bool:
        """Whether some of its passages are stored already."""
        return self.identity in self.before

    def document(self, number: int, passage: Passage) -> tuple[str, dict[str, Any]]:
        """Id and metadata of a passage; the first one has number 1."""
        title = TRAIL.join(passage.trail)
        place = {"title": title, "line": passage.line, "end_line": passage.end_line}
        return passage_id(self.identity.stem, number), {
            **place_metadata(self.identity),
            **place,
            **self.metadata,
            FIELD: str(self.identity),
        }


def effort_of(encoded: str) -> int:
    """About what encoding a text takes: its words and marks. Of prose and code, each of these takes
    the default encoder .12 to .145 ms; counted in words alone it would be .20 to .40."""
    return len(_PIECE.findall(encoded))


def place_metadata(identity: Identity) -> dict[str, Any]:
    """The metadata that tells where a file is."""
    folder, _, name = identity.path.rpartition("/")
    return {
        "path": identity.path,
        "folder": folder,
        "name": name,
        "size": identity.size,
        "modified": identity.modified,
    }
