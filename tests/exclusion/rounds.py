"""Rounds of two processes that write to one file by different ways, and what must hold after."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mvdb
from tests.support.children import ROOT, command


@contextmanager
def _linked(first: Path, second: Path) -> Iterator[Callable[[], None]]:
    os.link(first, second)
    yield lambda: None


@contextmanager
def _bound(first: Path, second: Path) -> Iterator[Callable[[], None]]:
    second.touch()
    subprocess.run(["mount", "--bind", str(first), str(second)], check=True, capture_output=True)
    try:
        yield lambda: None
    finally:
        subprocess.run(["umount", str(second)], check=False, capture_output=True)
        second.unlink()


@contextmanager
def _moved(first: Path, second: Path) -> Iterator[Callable[[], None]]:
    def move() -> None:
        for source, target in ((first, second), (second, first)):
            if source.exists():
                os.rename(source, target)
                return

    yield move
    if second.exists():
        os.rename(second, first)


@contextmanager
def _without_lock_file(first: Path, second: Path) -> Iterator[Callable[[], None]]:
    os.symlink(first, second)
    lock = Path(f"{first}-lock")
    yield lambda: lock.unlink(missing_ok=True)


WAYS = {
    "hard link": _linked,
    "bind mount": _bound,
    "moved while open": _moved,
    "lock file deleted": _without_lock_file,
}
"""How a second process comes to the file; each yields what to do to it again and again."""


class WayNotToBeHadError(Exception):
    """The system does not let this user go that way."""


def round_of(way: str, folder: Path, seconds: float) -> tuple[int, set[str]]:
    """Two processes write for so long; then every acknowledged commit must be there and the file
    sound. Returns the number of commits, and the names of errors that refused something."""
    first, second = folder / "first.mvdb", folder / "second.mvdb"
    for path in (first, second, Path(f"{first}-lock"), Path(f"{second}-lock")):
        path.unlink(missing_ok=True)
    mvdb.open(first, dim=16).close()
    try:
        with WAYS[way](first, second) as disturb:
            lines = _write(first, second, seconds, disturb)
    except subprocess.CalledProcessError as error:
        raise WayNotToBeHadError(f"{way}: {error.stderr.decode()}") from None
    stored = [line.split()[1] for line in lines if line.startswith("stored ")]
    refused = {line.split()[1] for line in lines if line.startswith("refused ")}
    copy = folder / "copy.mvdb"
    shutil.copyfile(first, copy)  # has no clean mark: its pages are walked at opening
    with mvdb.open(copy, create=False) as db:
        report = db.verify()
        assert report.ok, (way, report.problems)
        lost = [name for name in stored if name not in db]
        assert not lost, (way, lost)
    return len(stored), refused


def _write(first: Path, second: Path, seconds: float, disturb: Callable[[], None]) -> list[str]:
    processes = [
        subprocess.Popen(
            command("tests.exclusion.writer", path, name, seconds),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for path, name in ((first, "x"), (second, "y"))
    ]
    while any(process.poll() is None for process in processes):
        time.sleep(0.05)
        disturb()
    outputs = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes), outputs
    return "".join(outputs).splitlines()
