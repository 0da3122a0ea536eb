"""Interruptions between any two bytecodes that the main thread runs, one after the other.

    python -m tests.interrupts.by_bytecode             # every bytecode of every operation

A trace function raises what a signal handler would raise, at the n-th bytecode.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tests.interrupts.operations import OPERATIONS, Interruption, Subject

HANG_SECONDS = 120
_OWN = str(Path(__file__).parent)


class Tracer:
    """Counts the bytecodes of the main thread, and raises at one of them."""

    def __init__(self, at: int | None) -> None:
        self.count = 0
        self._at = at

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Tracer | None:
        if frame.f_code.co_filename.startswith(_OWN):
            return self  # what it calls is traced
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            if self.count == self._at:
                self.count += 1
                raise Interruption
            self.count += 1
        return self

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """While a block runs."""
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(None)


def count(subject: Subject, operation: str) -> int:
    """Bytecodes that an operation runs in the main thread."""
    tracer = Tracer(None)
    possible = subject.outcomes(operation)
    with tracer.tracing():
        subject.run(operation)
    subject.check(operation, possible[-1:])
    return tracer.count


def interrupt(subject: Subject, operation: str, at: int) -> bool:
    """Interrupts an operation at one bytecode; False when it has not so many."""
    tracer = Tracer(at)
    possible = subject.outcomes(operation)
    interrupted = False
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        with tracer.tracing():
            subject.run(operation)
    except Interruption:
        interrupted = True
    subject.check(operation, possible if tracer.count > at else possible[-1:])
    faulthandler.cancel_dump_traceback_later()
    return interrupted


def run(folder: Path, operation: str, step: int) -> tuple[int, int]:
    """Interrupts at every step-th bytecode; how many interruptions and bytecodes there were."""
    subject = Subject(folder)
    subject.run(operation)  # what is imported or cached at first use
    subject.check(operation, [*subject.outcomes(operation), subject.content])
    subject.begin_anew()
    total, interrupted = count(subject, operation), 0
    for at in range(0, total, step):
        subject.refresh()
        interrupted += interrupt(subject, operation, at)
    subject.close()
    return interrupted, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("operations", nargs="*", default=OPERATIONS)
    arguments = parser.parse_args()
    for operation in arguments.operations:
        with tempfile.TemporaryDirectory() as folder:
            interrupted, total = run(Path(folder), operation, arguments.step)
        print(f"{operation}: {interrupted} interruptions at {total} bytecodes", flush=True)


if __name__ == "__main__":
    main()
