"""P10: same input and seed, same content and ranking: whatever the kernels and the threads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mvdb import core
from tests.support.children import run_program

INSTRUCTION_SETS = ("scalar", "avx2", "avxvnni", "avx512", "amx", "neon", "dotprod")


def available() -> list[str]:
    """Instruction sets that this machine can run."""
    before = core.instruction_set()
    names = [name for name in INSTRUCTION_SETS if core.select_instruction_set(name)]
    core.select_instruction_set(before)
    return names


def fingerprint(path: Path, isa: str, cpus: int | None = None) -> dict[str, str]:
    """Of a process with these kernels, on so many processors."""
    arguments = [path] if cpus is None else [path, cpus]
    done = run_program("tests.threads.fingerprint", *arguments, MVDB_ISA=isa)
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    assert result.pop("isa") == isa
    return result


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fingerprint(tmp_path_factory.mktemp("reference") / "file", "scalar")


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
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
