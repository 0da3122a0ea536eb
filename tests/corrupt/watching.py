"""The program `tests.corrupt.consume`, killed when it takes too much."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import ROOT, command
from tests.support.patience import PATIENCE

CAP = 2 << 30
"""Bytes of resident memory above which the program is killed."""
STEP = 0.01


@dataclass(frozen=True)
class Watched:
    """Bytes beyond those after importing mvdb, seconds of processor time in all and of the longest
    call, and what was printed."""

    used: int
    seconds: float
    longest: float
    output: str


def watch(name: str, path: Path) -> Watched:
    """Runs a function of the program on a file."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(
            command("tests.corrupt.consume", name, path),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        end = time.monotonic() + PATIENCE
        while child.poll() is None:
            if _resident(child.pid) > CAP or time.monotonic() > end:
                child.kill()
            time.sleep(STEP)
        output.seek(0)
        text = output.read()
    assert child.returncode == 0, f"it ended with {child.returncode}: {text}"
    said, _, measured = text.rstrip().rpartition("\n")
    return Watched(**json.loads(measured), output=said)


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")), 0)
