"""The clean mark: set when it is true, gone when it is not. ``check`` runs only without one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from processes import Child

from mvdb.errors import CorruptionError, WriteFailedError
from mvdb.storage import cleanmark, commit
from mvdb.storage.environment import Environment
from mvdb.storage.read_transaction import ReadTransaction

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no extended attributes")


@pytest.fixture
def path(path: str) -> str:
    with Environment.open(path) as environment, environment.write() as txn:
        txn.put("ids", b"k", b"v" * 10_000)
    if not marked(path):
        pytest.skip("this file system has no extended attributes or coarse times")
    return path


def marked(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return cleanmark.is_marked(descriptor)
    finally:
        os.close(descriptor)


def trusted(path: str, **options: bool) -> bool:
    """Whether opening does without the check."""
    calls: list[ReadTransaction] = []
    Environment.open(path, check=calls.append, **options).close()  # type: ignore[arg-type]
    return not calls


def test_closed_cleanly(path: str) -> None:
    assert trusted(path)
    assert trusted(path, readonly=True)
    assert marked(path)


def test_a_session_without_writes_keeps_the_mark_and_the_times(path: str) -> None:
    before = os.stat(path).st_mtime_ns
    assert trusted(path)
    assert os.stat(path).st_mtime_ns == before


def test_gone_while_somebody_writes(path: str) -> None:
    with Environment.open(path) as environment:
        assert marked(path)
        with environment.write():
            assert not marked(path)
    assert marked(path)


def test_a_killed_writer_leaves_none(path: str) -> None:
    script = """
        environment = Environment.open(path)
        with environment.write() as txn:
            txn.put("ids", b"more", b"v")
        say("written")
        hear()
    """
    with Child(script, path) as child:
        child.expect("written")
        child.kill()
    assert not marked(path)
    assert not trusted(path)
    assert trusted(path)


def test_a_byte_changed_right_after_closing(path: str) -> None:
    """Found in review: within a tick of the kernel's clock the time of a file does not change."""
    for _ in range(50):
        with Environment.open(path) as environment, environment.write() as txn:
            txn.put("ids", b"k", b"v")
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(byte)
        assert not marked(path)


def test_changed_in_length_or_time(path: str) -> None:
    os.utime(path)
    assert not trusted(path)
    with open(path, "ab") as file:
        file.write(bytes(4096))
    assert not marked(path)


def test_a_copy_has_none(path: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mvdb"
    shutil.copy2(path, copy)  # with times and extended attributes
    assert not marked(str(copy))
    assert not trusted(str(copy))


def test_a_renamed_file_keeps_it(path: str, tmp_path: Path) -> None:
    os.rename(path, tmp_path / "other.mvdb")
    assert trusted(str(tmp_path / "other.mvdb"))


def test_a_failed_check_is_repeated(path: str) -> None:
    os.utime(path)

    def refuse(txn: ReadTransaction) -> None:
        assert txn.count("ids") == 1
        raise CorruptionError("no")

    for _ in range(2):
        with pytest.raises(CorruptionError, match="no"):
            Environment.open(path, check=refuse)
    assert not trusted(path)
    assert trusted(path)


def test_none_after_a_failed_write(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(txn: object) -> None:
        raise OSError(5, "injected")

    with Environment.open(path) as environment:
        monkeypatch.setattr(commit, "commit_lmdb", fail)
        with pytest.raises(WriteFailedError), environment.write() as txn:
            txn.put("ids", b"k", b"v")
    assert not marked(path)


def test_a_read_only_session_neither_sets_nor_touches_it(path: str) -> None:
    os.utime(path, ns=(1, 1))
    for _ in range(2):
        assert not trusted(path, readonly=True)
        assert os.stat(path).st_mtime_ns == 1


def test_not_set_while_another_process_is_present(path: str) -> None:
    script = """
        environment = Environment.open(path)
        with environment.write() as txn:
            txn.put("ids", b"more", b"v")
        say("open"); hear()
        environment.close()
        say("closed")
    """
    with Child(script, path) as child:
        child.expect("open")
        assert trusted(path)  # the other process has checked it
        assert not marked(path)
        child.tell()
        child.expect("closed")
        child.finish()
    assert marked(path)


def test_file_systems_without_attributes(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(95, "not supported")

    for name in ("getxattr", "setxattr", "removexattr"):
        monkeypatch.setattr(os, name, refuse)
    for _ in range(2):
        assert not trusted(path)
