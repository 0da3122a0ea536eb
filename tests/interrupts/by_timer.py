"""Interruptions by a timer signal, at random moments.

    python -m tests.interrupts.by_timer --interruptions 10000

Ends with exit code 1 at the first operation that was left half done, or handle that did not work on
afterwards; prints the seed that repeats it.
"""

from __future__ import annotations

import argparse
import faulthandler
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import numpy as np

from tests.interrupts.operations import OPERATIONS, Interruption, Subject

HANG_SECONDS = 120


class Timer:
    """Raises once, while it is armed: the system may deliver a signal after its timer has been
    stopped."""

    def __init__(self) -> None:
        self._is_armed = False

    def start(self, seconds: float) -> None:
        self._is_armed = True
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-5))

    def stop(self) -> None:
        self._is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed:
            self._is_armed = False
            raise Interruption


def run(folder: Path, interruptions: int, seed: int) -> Counter[str]:
    """Interrupts so many operations; how many of each kind."""
    rng = np.random.default_rng(seed)
    subject = Subject(folder)
    usual = {operation: _duration(subject, operation) for operation in OPERATIONS}
    counts: Counter[str] = Counter()
    faults: list[str] = []
    timer = Timer()
    before, hook = signal.signal(signal.SIGALRM, timer), sys.unraisablehook
    sys.unraisablehook = lambda unraisable: _note(faults, unraisable)
    try:
        while sum(counts.values()) < interruptions:
            subject.refresh()
            operation = str(rng.choice(OPERATIONS))
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            seconds = usual[operation] * rng.random()
            counts[operation] += _interrupted(subject, operation, timer, seconds)
            faulthandler.cancel_dump_traceback_later()
    finally:
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
    subject.close()
    assert not faults, faults
    return counts


def _note(faults: list[str], unraisable: sys.UnraisableHookArgs) -> None:
    """Keeps the fault of a finaliser of mvdb. One met a transaction that was interrupted in the
    middle of its `__init__`, and did not end it. An interruption itself may come there, too."""
    module = getattr(unraisable.object, "__module__", None) or ""
    if module.startswith("mvdb") and not isinstance(unraisable.exc_value, Interruption):
        faults.append(f"{unraisable.object!r}: {unraisable.exc_value!r}")


def _duration(subject: Subject, operation: str) -> float:
    """How long an operation takes, about."""
    begin = time.perf_counter()
    for _ in range(3):
        subject.refresh()
        possible = subject.outcomes(operation)
        subject.run(operation)
        subject.check(operation, possible)
    return 1.2 * (time.perf_counter() - begin) / 3


def _interrupted(subject: Subject, operation: str, timer: Timer, seconds: float) -> bool:
    possible = subject.outcomes(operation)
    interrupted = False
    try:
        try:
            timer.start(seconds)
            subject.run(operation)
        finally:
            timer.stop()
    except Interruption:
        interrupted = True
    subject.check(operation, possible if interrupted else possible[-1:])
    return interrupted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interruptions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begin = time.monotonic()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        counts = run(Path(folder), arguments.interruptions, arguments.seed)
    print(
        f"{sum(counts.values())} interruptions in {time.monotonic() - begin:.0f} s, each all or "
        f"nothing, and the handle worked on: {dict(counts)}"
    )


if __name__ == "__main__":
    main()
