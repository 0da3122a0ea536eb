"""Quotas: 32 descriptors, a limit on the size of files, a full disk, no right to write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import steps
from tests.support.children import ROOT, command, run_program
from tests.support.patience import PATIENCE
from tests.support.rights import CAN_GIVE_UP

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")


def run(name: str, path: Path) -> None:
    """A child process that runs into the limit of that name; see `quotas`."""
    done = run_program("tests.faults.quotas", name, path)
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


NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
"""Begins a command that may mount, whoever runs it; the mounts end with it."""
MOUNT = 'mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@"'


def _can_mount() -> bool:
    tool = shutil.which("unshare")
    return tool is not None and not subprocess.call(
        [*NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /tmp"], stderr=subprocess.DEVNULL
    )


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of Linux")
def test_full_disk(tmp_path: Path) -> None:
    """A file system of 8 MiB, filled by the database itself."""
    if not _can_mount():
        pytest.skip("this system lets nobody mount a file system of his own")
    disk = tmp_path / "disk"
    disk.mkdir()
    line = command("tests.faults.quotas", "full_disk", disk / "full.mvdb")
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", MOUNT, "sh", str(disk), *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert os.listdir(disk) == [], "it was no file system of its own"
