"""`mvdb.folders.watch`: a database follows its folders."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvdb
from mvdb import folders
from tests.folders.test_sync import DIM, Encoder
from tests.helpers import refused
from tests.support.patience import PATIENCE

pytest.importorskip("watchfiles", reason="needs watchfiles")


class Watched:
    """A folder with a database in it, which a thread keeps up to date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: queue.Queue[folders.Report] = queue.Queue()
        self.stop = threading.Event()
        self.encoder = Encoder()
        self.db = mvdb.open(folder / "n.mvdb", dim=DIM)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        self.reports.get(timeout=PATIENCE)

    def _follow(self) -> None:
        for report in folders.watch(self.db, self.folder, encoder=self.encoder, stop=self.stop):
            self.reports.put(report)

    def wait_for(self, *paths: str) -> None:
        """Until these files are indexed and no others."""
        wanted = {f"{self.folder.name}/{path}" for path in paths}
        while {file.path for file in folders.files(self.db)} != wanted:
            self.reports.get(timeout=PATIENCE)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.db.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "old.txt").write_text("Old.")
    one = Watched(tmp_path)
    yield one
    one.end()


def test_changes_are_followed(watched: Watched) -> None:
    folder = watched.folder
    watched.wait_for("old.txt")
    (folder / "new.txt").write_text("New.")
    watched.wait_for("old.txt", "new.txt")
    # The database lies in the folder; writing it is no change.
    assert watched.encoder.given == ["Old.", "New."]
    (folder / "sub").mkdir()
    shutil.move(folder / "new.txt", folder / "sub" / "new.txt")
    watched.wait_for("old.txt", "sub/new.txt")
    assert watched.encoder.given == ["Old.", "New."]
    (folder / "old.txt").write_text("Newer.")
    while "Newer." not in watched.encoder.given:
        watched.reports.get(timeout=PATIENCE)
    (folder / ".gitignore").write_text("old.txt\n")
    shutil.rmtree(folder / "sub")
    (folder / "last.txt").write_text("Last.")
    watched.wait_for("old.txt", "last.txt")  # what was indexed stays until it is gone


def test_malformed_arguments_are_found_at_the_first_step(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "n.mvdb", dim=DIM) as db:
        with refused(db, mvdb.InvalidInputError, "sources"):
            next(folders.watch(db, 5))  # type: ignore[arg-type]
        with refused(db, mvdb.PathNotFoundError, "nowhere"):
            next(folders.watch(db, tmp_path / "nowhere"))
        with refused(db, mvdb.InvalidInputError, "hidden"):
            next(folders.watch(db, tmp_path, hidden=3))
        with refused(db, mvdb.InvalidInputError, "stop"):
            next(folders.watch(db, tmp_path, stop=5))  # type: ignore[arg-type]
