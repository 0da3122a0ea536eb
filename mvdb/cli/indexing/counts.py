"""The outcome of an indexing run, counted."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvdb.cli.console import count, size
from mvdb.folders import OUTCOMES, Report

_KINDS_SHOWN = 12


@dataclass
class Counts:
    """Counters of one run.

    Attributes:
        files: what became of files.
        written, kept: records stored, and found unchanged.
        tokens: token vectors stored of records."""

    files: Report = field(default_factory=Report)
    written: int = 0
    kept: int = 0
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Records stored per second."""
        return self.written / max(self.seconds, 0.001)

    def as_json(self, file: Path) -> dict[str, Any]:
        """The summary for --json."""
        done = self.files.to_dict()
        done["passages"]["written"] += self.written
        done["passages"]["kept"] = self.kept
        done["tokens"] += self.tokens
        done["seconds"] = round(self.seconds, 3)
        return {"file": str(file), **done, "file_bytes": os.path.getsize(file)}

    def as_text(self, file: Path) -> str:
        """The summary line."""
        report = self.files
        numbers = [(outcome, getattr(report, outcome)) for outcome in OUTCOMES[1:]]
        others = [
            f"{number:,} {'without text' if outcome == 'empty' else outcome}"
            for outcome, number in numbers
            if number
        ]
        files = count(report.indexed, "file") + (f" ({', '.join(others)})" if others else "")
        passages = count(self.written + report.written, "passage")
        passages += f" ({self.kept:,} unchanged)" if self.kept else ""
        if report.duplicates:
            passages += f" ({report.duplicates:,} left out, nearly the same as others)"
        tokens = count(self.tokens + report.tokens, "token")
        bytes = size(os.path.getsize(file))
        return f"{files}, {passages}, {tokens}, {self.seconds:.1f} s, {file} {bytes}"

    def left_out(self) -> str:
        """What was skipped, by kind; empty if nothing was."""
        found = self.files.kinds.most_common(_KINDS_SHOWN)
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in found)
        more = len(self.files.kinds) - _KINDS_SHOWN
        others = f", {count(more, 'other kind')}" if more > 0 else ""
        return f"{count(self.files.skipped, 'file')} skipped: {kinds}{others}" if kinds else ""

    def note(self) -> str:
        """A few words beside the progress bar."""
        return f"{self.written:,} passages, {self.rate:.0f}/s" if self.written else ""
