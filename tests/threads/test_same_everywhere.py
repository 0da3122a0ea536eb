"""P10: same input and seed, same content and ranking: whatever the kernels and the threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mvdb import core
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def available() -> list[str]:
    """Instruction sets that this machine can run."""
    before = core.instruction_set()
    names = [n for n in ("scalar", "avx2", "avx512", "neon") if core.select_instruction_set(n)]
    core.select_instruction_set(before)
    return names


def fingerprint(path: Path, isa: str, cpus: int | None = None) -> dict[str, str]:
    """Of a process with these kernels, on so many processors."""
    environment = {**os.environ, "MVDB_ISA": isa, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.threads.processes", str(path)]
    if cpus is not None:
        affinity = (
            f"import os, runpy, sys; os.cpu_count = lambda: {cpus}; sys.argv = sys.argv[1:]; "
        )
        code = affinity + "runpy.run_module('tests.threads.processes', run_name='__main__')"
        command = [sys.executable, "-c", code, "x", str(path)]
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    assert result.pop("isa") == isa
    return result


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fingerprint(tmp_path_factory.mktemp("reference") / "file", "scalar")


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "neon"])
def test_kernels_agree_to_the_last_bit(isa: str, reference: dict[str, str], tmp_path: Path) -> None:
    """Stored vectors, hits and the bytes of their scores, for every number of bits."""
    if isa not in available():
        pytest.skip(f"this processor has no {isa}")
    assert fingerprint(tmp_path / "file", isa) == reference


@pytest.mark.parametrize("cpus", [1, 7])
def test_the_number_of_threads_changes_nothing(
    cpus: int, reference: dict[str, str], tmp_path: Path
) -> None:
    """Training, encoding and searching on one and on seven threads."""
    assert fingerprint(tmp_path / "file", available()[-1], cpus) == reference
