"""Reads one file as the indexer does, in a process of its own with limits of memory and time."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

from mvdb.reading import pdf
from mvdb.reading.cutting import cut
from mvdb.reading.files import read_file
from mvdb.reading.formats import read_bytes
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

MEMORY = 1 << 30
"""Bytes that a process may have resident, beyond those of which it begins as a copy."""
SECONDS = 10
"""Processor time of a file."""
MOST_BYTES = 16 << 20
"""Of a file, as by default in the command."""
MOST_REASON = 300


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        kind: "passages", "empty", the kind of an Unreadable, "raised" or "died".
        reason: of an Unreadable, an exception or a death; the note of one that was read.
        passages, text: their number; the characters of all.
        seconds: processor time. memory: bytes resident at the most, beyond those at first."""

    kind: str
    reason: str
    passages: int
    characters: int
    seconds: float
    memory: int

    @property
    def fault(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if self.kind in ("raised", "died"):
            return f"{self.kind}: {self.reason}"
        if not self.reason.isprintable() or len(self.reason) > MOST_REASON:
            return f"unclear reason: {self.reason[:MOST_REASON]!r}"
        if self.kind == "failed":
            return f"fault of a reader: {self.reason}"
        if self.memory > MEMORY:
            return f"{self.memory >> 20} MiB"
        return f"{self.seconds:.1f} s" if self.seconds > SECONDS else ""


def read_limited(path: Path, forbidden: str = "") -> Outcome:
    """Reads and cuts a file in a forked process. forbidden: text that no passage may have."""
    receiver, sender = os.pipe()
    at_first = _resident()
    pid = os.fork()
    if pid == 0:
        os.close(receiver)
        answer = {"kind": "raised", "reason": "", "passages": 0, "characters": 0}
        try:
            os.setpgid(0, 0)
            _limit()
            answer |= _read(path, forbidden)
        except BaseException as error:
            answer["reason"] = traceback.format_exc()[-600:] or repr(error)
        pdf.end_process()  # its time counts
        os.write(sender, json.dumps(answer).encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    answer = {"kind": "died", "reason": "", "passages": 0, "characters": 0}
    if code or not said:
        answer["reason"] = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    else:
        answer = json.loads(said)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) - at_first
    return Outcome(**answer, seconds=usage.ru_utime + usage.ru_stime, memory=peak)


def _resident() -> int:
    """Bytes of this process that are resident; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _limit() -> None:
    """Limits the process: addresses to what it has and MEMORY."""
    faulthandler.disable()  # a crash is told by the exit code
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (3 * SECONDS, 3 * SECONDS))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _read(path: Path, forbidden: str) -> dict[str, object]:
    warnings.simplefilter("ignore")
    try:
        return _passages(read_bytes(path, read_file(path, MOST_BYTES)), forbidden)
    except Unreadable as error:
        return {"kind": error.kind, "reason": str(error)}


def _passages(reading: Reading, forbidden: str) -> dict[str, object]:
    passages = characters = 0
    for one in cut(reading.blocks):
        passages += 1
        characters += len(one.text.encode()) and len(one.text)
        title = " > ".join(one.trail)
        assert len(title.encode()) < 10_000, f"a heading trail of {len(title)} characters"
        assert one.text.strip(), "a passage without text"
        assert 0 < one.line <= one.end_line, f"lines {one.line} to {one.end_line}"
        assert not forbidden or forbidden not in one.text, "it has a file from outside"
    kind = "passages" if passages else "empty"
    return {"kind": kind, "reason": reading.note, "passages": passages, "characters": characters}
