"""The outcome of an indexing run, counted."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvdb.cli.console import count, size

_FILES = ("indexed", "unchanged", "empty", "skipped", "failed", "removed")
_PASSAGES = ("written", "kept", "deleted")


@dataclass
class Counts:
    """Counters of one run.

    Attributes:
        files: by outcome (JSON lines are no files); empty ones are without text.
        skipped: the skipped ones by kind: what they are or, if they are binary, their ending.
        failures: path and reason of those whose reader failed.
        passages: written, found unchanged ("kept") and deleted.
        tokens: token vectors written."""

    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_FILES, 0))
    passages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_PASSAGES, 0))
    skipped: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    def skip(self, kind: str) -> None:
        """A file is left out."""
        self.files["skipped"] += 1
        self.skipped[kind] += 1

    def fail(self, path: str, reason: str) -> None:
        """The reader of a file failed."""
        self.files["failed"] += 1
        self.failures.append((path, reason))

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Passages written per second."""
        return self.passages["written"] / max(self.seconds, 0.001)

    def as_json(self, file: Path) -> dict[str, Any]:
        """The summary for --json."""
        done: dict[str, Any] = {"files": self.files, "skipped": dict(self.skipped.most_common())}
        done["failures"] = [{"path": path, "reason": reason} for path, reason in self.failures]
        done |= {"passages": self.passages, "tokens": self.tokens}
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

    def left_out(self) -> str:
        """What was skipped, by kind; empty if nothing was."""
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in self.skipped.most_common(12))
        more = len(self.skipped) - 12
        others = f", {count(more, 'other kind')}" if more > 0 else ""
        return f"{count(self.files['skipped'], 'file')} skipped: {kinds}{others}" if kinds else ""

    def note(self) -> str:
        """A few words beside the progress bar."""
        written = self.passages["written"]
        return f"{written:,} passages, {self.rate:.0f}/s" if written else ""
