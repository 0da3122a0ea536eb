"""The outcome of an indexing run, counted."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvdb.cli.console import count, size

_FILES = ("indexed", "unchanged", "empty", "skipped", "removed")
_PASSAGES = ("written", "kept", "deleted")


@dataclass
class Counts:
    """Counters of one run.

    Attributes:
        files: by outcome (JSON lines are no files); empty ones are without text.
        passages: written, found unchanged ("kept") and deleted.
        tokens: token vectors written."""

    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_FILES, 0))
    passages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_PASSAGES, 0))
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Passages written per second."""
        return self.passages["written"] / max(self.seconds, 0.001)

    def as_json(self, file: Path) -> dict[str, Any]:
        """The summary for --json."""
        done = {"files": self.files, "passages": self.passages, "tokens": self.tokens}
        seconds, bytes = round(self.seconds, 3), os.path.getsize(file)
        return {"file": str(file), **done, "seconds": seconds, "file_bytes": bytes}

    def as_text(self, file: Path) -> str:
        """The summary line."""
        others = [
            f"{number:,} {'without text' if outcome == 'empty' else outcome}"
            for outcome, number in self.files.items()
            if number and outcome != "indexed"
        ]
        files = count(self.files["indexed"], "file") + (f" ({', '.join(others)})" if others else "")
        passages, kept = count(self.passages["written"], "passage"), self.passages["kept"]
        passages += f" ({kept:,} unchanged)" if kept else ""
        tokens, bytes = count(self.tokens, "token"), size(os.path.getsize(file))
        return f"{files}, {passages}, {tokens}, {self.seconds:.1f} s, {file} {bytes}"

    def note(self) -> str:
        """A few words beside the progress bar."""
        written = self.passages["written"]
        return f"{written:,} passages, {self.rate:.0f}/s" if written else ""
