"""Quotas: 32 descriptors, a limit on the size of files, a full disk, no right to write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import steps
from tests.support.patience import PATIENCE
from tests.support.rights import CAN_GIVE_UP

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")


def run(name: str, path: Path) -> None:
    """A child process that runs into the limit of that name; see `limits`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.limits", name, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "limited.mvdb"
    steps.prepare(path)
    return path


def test_thirty_two_descriptors(path: Path) -> None:
    """Handles, snapshots and threads share what they need; none left: no harm."""
    run("descriptors", path)


def test_file_size_limit(path: Path) -> None:
    """RLIMIT_FSIZE at several distances."""
    run("file_size", path)


def test_no_right_to_write(path: Path) -> None:
    """A read-only file in a read-only folder. For root the test became another user, who could not
    import from a checkout in a folder of mode 0700; it opened all folders above to everybody."""
    if not CAN_GIVE_UP:
        pytest.skip("root cannot give up its rights on this system")
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        run("read_only", path)
    finally:
        path.parent.chmod(0o755)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "disk"
    target.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(target)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount: {error}")
    yield target
    subprocess.run(["umount", str(target)], check=False)


def test_full_disk(small_disk: Path) -> None:
    """A file system of 8 MiB, filled by the database itself."""
    path = small_disk / "full.mvdb"
    steps.prepare(path)
    run("full_disk", path)
