"""What an indexing run did, for its summary."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvdb.cli.console import count, size


@dataclass
class Counts:
    """Counters of one run.

    Attributes:
        indexed, unchanged, empty, skipped, removed: files (lines of JSONL are no files).
        passages: written; kept: found unchanged; deleted: taken out.
        tokens: token vectors written."""

    indexed: int = 0
    unchanged: int = 0
    empty: int = 0
    skipped: int = 0
    removed: int = 0
    passages: int = 0
    kept: int = 0
    deleted: int = 0
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def as_json(self, file: Path) -> dict[str, Any]:
        """The summary for --json."""
        return {
            "file": str(file),
            "files": {
                "indexed": self.indexed,
                "unchanged": self.unchanged,
                "empty": self.empty,
                "skipped": self.skipped,
                "removed": self.removed,
            },
            "passages": {"written": self.passages, "kept": self.kept, "deleted": self.deleted},
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "file_bytes": os.path.getsize(file),
        }

    def as_text(self, file: Path) -> str:
        """The summary line."""
        others = [
            f"{number:,} {word}"
            for number, word in (
                (self.unchanged, "unchanged"),
                (self.empty, "without text"),
                (self.skipped, "skipped"),
                (self.removed, "removed"),
            )
            if number
        ]
        files = count(self.indexed, "file") + (f" ({', '.join(others)})" if others else "")
        passages = count(self.passages, "passage")
        if self.kept:
            passages += f" ({self.kept:,} unchanged)"
        return (
            f"{files}, {passages}, {count(self.tokens, 'token')}, {self.seconds:.1f} s, "
            f"{file} {size(os.path.getsize(file))}"
        )

    def note(self) -> str:
        """A few words beside the progress bar."""
        rate = self.passages / self.seconds if self.passages else 0
        return f"{self.passages:,} passages, {rate:.0f}/s" if rate else ""
