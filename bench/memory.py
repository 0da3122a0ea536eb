"""Memory of this process, from ``/proc`` (Linux); None elsewhere. MB are 10^6 bytes."""

from __future__ import annotations

import threading
from pathlib import Path

_SELF = Path("/proc/self")


def private_mb(file: str) -> tuple[float, float] | None:
    """Memory that is this process's alone (``Private_*``), without pages of the mapped `file`; and
    the resident part of that mapping."""
    try:
        lines = (_SELF / "smaps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    private = mapped = 0
    inside = False
    for line in lines:
        name, _, rest = line.partition(":")
        if not name[:1].isupper():
            inside = line.endswith(f" {file}")
        elif name.startswith("Private_") and name != "Private_Hugetlb" and not inside:
            private += int(rest.split()[0])
        elif name == "Rss" and inside:
            mapped += int(rest.split()[0])
    return private * 1024 / 1e6, mapped * 1024 / 1e6


def anonymous_mb() -> float | None:
    """Anonymous memory of this process: all that is backed by no file."""
    try:
        lines = (_SELF / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    line = next(line for line in lines if line.startswith("Anonymous:"))
    return int(line.split()[1]) * 1024 / 1e6


class AnonymousPeak:
    """A context manager that looks at the anonymous memory of this process every 20 ms."""

    INTERVAL = 0.02

    def __init__(self) -> None:
        self.before = _status("RssAnon")
        self.peak = self.before
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def above_mb(self) -> float | None:
        """The greatest value seen above the one at the beginning."""
        return None if self.peak is None or self.before is None else self.peak - self.before

    def _watch(self) -> None:
        while not self._done.wait(self.INTERVAL):
            now = _status("RssAnon")
            if now is None or self.peak is None:
                return
            self.peak = max(self.peak, now)

    def __enter__(self) -> AnonymousPeak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


def reset_peak() -> float | None:
    """Sets the peak of resident memory back; returns what is resident."""
    try:
        (_SELF / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def peak() -> float | None:
    """The greatest resident memory since `reset_peak`."""
    return _status("VmHWM")


def _status(field: str) -> float | None:
    try:
        text = (_SELF / "status").read_text(encoding="ascii")
    except OSError:
        return None
    line = next(line for line in text.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6
