"""Code in a process of its own, with an eye on its memory and time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STEP = 0.01
_HEAD = """
import resource, sys, time
import numpy as np
import mvdb
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) << 10
base, begin = peak(), time.process_time()
"""
_TAIL = """
print("USED", peak() - base, time.process_time() - begin)
"""


@dataclass(frozen=True)
class Watched:
    """What became of it: "ended", or why it was killed; bytes beyond those after importing mvdb,
    seconds of processor time, and what it printed."""

    outcome: str
    used: int
    seconds: float
    output: str


def watch(code: str, *, cap: int = 1 << 30, seconds: float = 60.0) -> Watched:
    """Runs code, in which `mvdb` and `np` are imported, and kills it above `cap` bytes of resident
    memory or after so many seconds."""
    with tempfile.TemporaryFile("w+") as output:
        arguments = [sys.executable, "-c", _HEAD + code + _TAIL]
        child = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        begin, outcome = time.monotonic(), "ended"
        while child.poll() is None:
            if _resident(child.pid) > cap:
                outcome = "took too much memory"
                child.kill()
            elif time.monotonic() - begin > seconds:
                outcome = "took too long"
                child.kill()
            time.sleep(STEP)
        output.seek(0)
        text = output.read()
    if outcome == "ended" and child.returncode:
        outcome = f"exit code {child.returncode}"
    last = text.rpartition("USED ")[2].split()
    used, took = (int(last[0]), float(last[1])) if outcome == "ended" else (0, 0.0)
    return Watched(outcome, used, took, text)


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")), 0)
