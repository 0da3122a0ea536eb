"""A program that is killed while it inserts a stream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def kill_after_commits(code: str, commits: int, *arguments: str) -> int:
    """Runs Python code that prints the number of documents after each commit, and kills it after
    so many lines (SIGKILL; TerminateProcess on Windows). Returns the last number it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(commits)]
    finally:
        process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) != 0, "it had ended before it was killed"
    return int([line for line in lines if line.endswith("\n")][-1])
