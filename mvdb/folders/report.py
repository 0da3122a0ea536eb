"""What a call of `sync` did, and how far it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mvdb.reading.unreadable import FAILED
from mvdb.types import Value

OUTCOMES = ("indexed", "renamed", "unchanged", "empty", "skipped", "failed", "removed")
"""Of files."""
MOST_REFUSALS = 10_000
"""Kept in a report; all are counted."""


@dataclass(frozen=True)
class Refusal(Value):
    """A file that was not indexed.

    Attributes:
        path: as it was found.
        kind: of the reason: "binary", "too large", "denied", "gone", "link", "failed" and others;
            of a binary file without a reader its ending.
        reason: for people."""

    path: str
    kind: str
    reason: str


@dataclass
class Report(Value):
    """The outcome of :func:`sync`.

    Attributes:
        indexed, renamed, unchanged, empty, skipped, failed: files found, by outcome; every file is
            in one of them. indexed: new, changed or completed ones. renamed: of a content that was
            known by another path; nothing is encoded for them. empty: without text. skipped: left
            out, see `kinds`. failed: their reader raised.
        removed: files whose passages were deleted: gone ones (`prune`), and those that can no
            longer be read.
        kinds: the skipped files by kind of the reason.
        refusals: skipped and failed files, 10,000 at most.
        notes: paths and what is to be said of how they were read: "read as cp1252, a guess".
        written: passages stored.
        deleted: passages deleted, those of changed files included.
        duplicates: passages left out because nearly the same ones are stored (`dedupe`).
        tokens: token vectors stored.
        seconds: time taken."""

    indexed: int = 0
    renamed: int = 0
    unchanged: int = 0
    empty: int = 0
    skipped: int = 0
    failed: int = 0
    removed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    written: int = 0
    deleted: int = 0
    duplicates: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: `files` and `passages` by outcome, `skipped` by kind, `refusals`,
        `notes`, `tokens`, `seconds`."""
        return {
            "files": {outcome: getattr(self, outcome) for outcome in OUTCOMES},
            "skipped": dict(self.kinds.most_common()),
            "refusals": [one.to_dict() for one in self.refusals],
            "notes": [{"path": path, "note": note} for path, note in self.notes],
            "passages": {
                "written": self.written,
                "deleted": self.deleted,
                "duplicates": self.duplicates,
            },
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
        }

    @property
    def found(self) -> int:
        """Files found."""
        return sum(getattr(self, outcome) for outcome in OUTCOMES if outcome != "removed")

    @property
    def failures(self) -> list[Refusal]:
        """The files whose reader failed."""
        return [one for one in self.refusals if one.kind == FAILED]

    def refuse(self, refusal: Refusal) -> None:
        """Counts a file that is not indexed."""
        if refusal.kind == FAILED:
            self.failed += 1
        else:
            self.skipped += 1
            self.kinds[refusal.kind] += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append(refusal)


@dataclass(frozen=True)
class Progress(Value):
    """How far a call of :func:`sync` is.

    Attributes:
        step: "looking" (which files are there and have changed), "reading" (changed ones) or
            "encoding".
        done, total: files while looking and reading, passages while encoding.
        per_second: passages encoded per second; 0 before.
        seconds_left: for the rest of the passages, by their words and marks; None before the first
            are encoded."""

    step: str
    done: int
    total: int
    per_second: float = 0.0
    seconds_left: float | None = None
