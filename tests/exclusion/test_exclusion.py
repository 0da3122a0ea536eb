"""Two writers of one file exclude each other by whatever name they came.

The lock file was found by the name of the data file. Under two names of one file, after a move
while it was open, or when the lock file was deleted, two processes wrote at a time: acknowledged
commits were lost, and the file was damaged in a way that `verify` did not see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mvdb
from tests.exclusion import rounds
from tests.support.children import ROOT, command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs file description locks")


@pytest.mark.parametrize("way", list(rounds.WAYS))
def test_two_processes_write(way: str, tmp_path: Path) -> None:
    try:
        stored, refused = rounds.round_of(way, tmp_path, 2.0)
    except rounds.WayNotToBeHadError as error:
        pytest.skip(str(error))
    assert stored > 10
    assert refused <= {"LockFileError", "BusyError", "PathChangedError", "PathNotFoundError"}


def vectors() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.eye(2, 16, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "a.mvdb"
    path.parent.mkdir()
    with mvdb.open(path, dim=16) as db:
        db.insert("kept", vectors())
    return path


def replace(path: Path) -> None:
    other = path.with_name("other.mvdb")
    mvdb.open(other, dim=16).close()
    os.replace(other, path)


CHANGES = {
    "deleted": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("b.mvdb")),
    "replaced": replace,
    "folder moved": lambda path: path.parent.rename(path.parent.with_name("elsewhere")),
}


WRITES: dict[str, Callable[[mvdb.Database], object]] = {
    "insert": lambda db: db.insert("new", vectors()),
    "upsert": lambda db: db.upsert("new", vectors()),
    "delete": lambda db: db.delete("kept"),
    "stream": lambda db: db.insert_batches([(["new"], [vectors()])]),
    "optimize": lambda db: db.optimize(),
    "compact": lambda db: db.compact(),
}


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("write", list(WRITES))
def test_a_file_that_is_not_where_it_was_takes_no_commit(
    path: Path, change: str, write: str
) -> None:
    """A file that was deleted or replaced while it was open took acknowledged commits, and
    compaction published it over what stood in its place by then."""
    with mvdb.open(path, background=False) as db:
        CHANGES[change](path)
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(mvdb.PathChangedError, match="moved, deleted or replaced"):
            WRITES[write](db)
        assert list(db.ids()) == ["kept"]  # reading goes on
        assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_transaction_notices_at_its_commit(path: Path, change: str) -> None:
    with mvdb.open(path, background=False) as db:
        txn = db.transaction()
        txn.insert("new", vectors())
        CHANGES[change](path)
        with pytest.raises(mvdb.PathChangedError, match="moved, deleted or replaced"):
            txn.commit()
        assert list(db.ids()) == ["kept"]


def test_a_file_that_came_back_takes_commits_again(path: Path) -> None:
    with mvdb.open(path) as db:
        path.rename(path.with_name("b.mvdb"))
        with pytest.raises(mvdb.PathChangedError):
            db.insert("new", vectors())
        path.with_name("b.mvdb").rename(path)
        db.insert("new", vectors())
    with mvdb.open(path) as db:
        assert set(db.ids()) == {"kept", "new"}


def test_reading_under_a_second_name(path: Path) -> None:
    """A reader needs no lock file: the writer waits for it."""
    second = path.with_name("b.mvdb")
    os.link(path, second)
    child = subprocess.Popen(
        command("tests.exclusion.reader", second),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with mvdb.open(path) as db, child:
        assert child.stdout is not None
        assert child.stdout.readline() == "['kept']\n"
        db.insert("new", vectors())
        assert child.communicate("\n")[0] == "['kept', 'new']\n"
