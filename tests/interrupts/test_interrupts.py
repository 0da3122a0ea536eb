"""Ctrl-C at any moment: an operation has happened as a whole or not at all, and the handle works.

Of a hundred interrupted inserts one left the handle unusable: a lock that nobody had noted,
a transaction that stayed open, a compaction that could not open its file again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.interrupts import by_bytecode, by_timer
from tests.interrupts.operations import OPERATIONS, lost_interruptions

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timer signals")
def test_by_a_timer(tmp_path: Path) -> None:
    with lost_interruptions():
        counts = by_timer.run(tmp_path, 400, seed=1)
    assert sum(counts.values()) == 400


@pytest.mark.parametrize("operation", OPERATIONS)
def test_between_bytecodes(operation: str, tmp_path: Path) -> None:
    with lost_interruptions():
        interrupted, total = by_bytecode.run(tmp_path, operation, step=37)
    assert total > 100
    assert interrupted > total / 37 / 2
