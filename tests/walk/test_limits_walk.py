"""Every public call when the system has no room, no descriptor or no thread left.

Temporary files of large transactions raised OSError on a full disk, once more when the transaction
was rolled back; without a thread left the first call raised RuntimeError."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.storage.spool import Spool
from tests.helpers import content, fill
from tests.support.children import in_child
from tests.support.opening import opened
from tests.walk import calls
from tests.walk.calls import DIM, matrix

if sys.platform == "win32":
    pytest.skip("limits of POSIX", allow_module_level=True)

import resource


@contextlib.contextmanager
def limited(what: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "source.mvdb"
    calls.new_database(path).close()
    return path


@contextlib.contextmanager
def descriptors(left: int) -> Iterator[None]:
    """``left`` more descriptors can be opened, wherever those in use left gaps."""
    last = max(map(int, os.listdir("/proc/self/fd")))
    filled = []
    while (gap := os.dup(0)) < last:
        filled.append(gap)
    os.close(gap)
    try:
        with limited(resource.RLIMIT_NOFILE, max(gap, last + 1) + left):
            yield
    finally:
        for gap in filled:
            os.close(gap)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("left", range(12))
def test_without_descriptors(path: Path, left: int) -> None:
    def work() -> list[str]:
        wrong = []
        list(calls.walk_file(path))  # imports what is imported late
        calls.refused.clear()
        with descriptors(left):
            wrong += calls.walk_file(path)
            wrong += calls.walk_file(path, readonly=True)
            wrong += calls.walk_file("new.mvdb", dim=DIM)
            try:
                mvdb.repair(path, "repaired.mvdb")
            except BaseException as error:
                wrong += [] if calls.is_promised(error) else [repr(error)]
        with mvdb.open(path) as db, descriptors(left):
            wrong += calls.walk(db)
        if left < 3 and not calls.refused["PathError"]:
            wrong.append("nothing needed a descriptor")
        return wrong

    assert not in_child(work)
    with mvdb.open(path) as db:
        assert db.verify().ok


@pytest.mark.parametrize("room", [0, 1, 5000, 50_000])
def test_without_room(path: Path, room: int) -> None:
    def work() -> list[str]:
        wrong = []
        calls.refused.clear()
        with limited(resource.RLIMIT_FSIZE, path.stat().st_size // 2 + room):
            wrong += calls.walk_file(path)
            wrong += calls.walk_file("new.mvdb", dim=DIM)
            try:
                mvdb.repair(path, "repaired.mvdb")
            except BaseException as error:
                wrong += [] if calls.is_promised(error) else [repr(error)]
        if not calls.refused["StorageFullError"]:
            wrong.append("nothing needed room")
        return wrong

    assert not in_child(work)
    assert 4 <= len(content(path)) <= 8  # one was deleted, up to three were added


def insert(db: mvdb.Database) -> None:
    db.insert(list(range(1000, 1060)), [matrix(i, 40) for i in range(60)])


def merge(db: mvdb.Database) -> None:
    """A small commit that merges."""
    db.insert(1000, matrix(0, 4))


LISTED = Limits(train_documents=50, listed_tokens=100, commit_tokens=0)
TEMPORARY: dict[str, tuple[Limits, Callable[[mvdb.Database], None]]] = {
    "write buffer": (replace(LISTED, flush_bytes=200), insert),
    "journal": (replace(LISTED, spool_bytes=200), insert),
    "clustered vectors": (replace(LISTED, spool_bytes=100), insert),
    "codes of a merge": (replace(LISTED, spool_bytes=100, commit_tokens=1 << 18, fanout=2), merge),
}


@pytest.mark.parametrize("which", TEMPORARY)
def test_without_room_for_a_temporary_file(path: Path, which: str) -> None:
    limits, action = TEMPORARY[which]
    if which == "journal":
        limits = replace(limits, roomy_bytes=1 << 62)

    def work() -> list[str]:
        with opened(path, limits, background=False) as db:
            fill(db, 300, first=100)
            before = len(db)
            with limited(resource.RLIMIT_FSIZE, 500):
                try:
                    action(db)
                    return ["there was room"]
                except mvdb.StorageFullError as error:
                    if "temporary file" not in str(error):
                        return [f"another file was full first: {error}"]
            fill(db, 60, first=1000)
            return [] if len(db) == before + 60 and db.verify().ok else ["not all or nothing"]

    assert not in_child(work)


def test_a_temporary_file_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    spool = Spool(str(folder), 10)
    folder.rmdir()
    with pytest.raises(mvdb.PathNotFoundError, match="temporary"):
        spool.write(bytes(100))
    spool.close()


def test_a_spool_gives_back_what_was_written(tmp_path: Path) -> None:
    for memory in (10, 1 << 20):
        spool = Spool(str(tmp_path), memory)
        pieces = [bytes([i]) * (i * 7 % 50) for i in range(200)]
        for i, piece in enumerate(pieces):
            spool.write(piece)
            if i % 30 == 0:
                spool.rewind()
                assert spool.read(60) == b"".join(pieces[: i + 1])[:60]
        assert bytes(spool.contents()) == b"".join(pieces)
        spool.write(b"more")
        assert bytes(spool.contents()) == b"".join(pieces) + b"more"
        spool.close()


def test_without_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def work() -> list[str]:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        calls.refused.clear()
        wrong = list(calls.walk_file(path))
        assert calls.refused == {"Error": 1}, "it was opened without its threads"
        monkeypatch.undo()
        return wrong + list(calls.walk_file(path))

    assert not in_child(work)


def test_threads_run_out_after_opening(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def work() -> list[str]:
        with mvdb.open(path) as db:
            monkeypatch.setattr(threading.Thread, "start", no_thread)
            return list(calls.walk(db))

    assert not in_child(work)
