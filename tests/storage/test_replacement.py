"""Copies while in use, and compaction in place."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import lmdb
import pytest
from processes import Child

import mvdb
from mvdb.errors import BusyError
from mvdb.limits import Limits
from mvdb.storage.environment import Environment


def put(environment: Environment, key: bytes, value: bytes) -> None:
    with environment.write() as txn:
        txn.put("segments", key, value)


def contents(path: str | Path) -> dict[bytes, bytes]:
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        return {bytes(key): bytes(value) for key, value in txn.iterate("segments")}


@pytest.mark.parametrize("compact", [True, False])
def test_a_copy_is_complete_and_the_source_goes_on(
    environment: Environment, tmp_path: Path, compact: bool
) -> None:
    target = tmp_path / "copy.mvdb"
    put(environment, b"big", bytes(1_000_000))
    put(environment, b"big", b"small now")
    with environment.read():
        environment.copy(target, compact=compact)
    put(environment, b"later", b"v")
    assert contents(target) == {b"big": b"small now"}
    assert (target.stat().st_size < 500_000) == compact
    assert sorted(os.listdir(tmp_path)) == ["copy.mvdb", "test.mvdb", "test.mvdb-lock"]


def test_copies_do_not_replace_unless_told(environment: Environment, tmp_path: Path) -> None:
    target = tmp_path / "copy.mvdb"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        environment.copy(target)
    assert target.read_text() == "mine"
    environment.copy(target, replace=True)
    assert contents(target) == {}
    with pytest.raises(ValueError, match="onto itself"):
        environment.copy(environment.path, replace=True)


def test_copying_within_a_write_transaction(environment: Environment, tmp_path: Path) -> None:
    with environment.write() as txn:
        txn.put("segments", b"k", b"v")
        environment.copy(tmp_path / "copy.mvdb")
        with pytest.raises(BusyError, match="this very thread"):
            environment.copy(tmp_path / "plain.mvdb", compact=False)
    assert contents(tmp_path / "copy.mvdb") == {}


def test_a_copy_while_threads_write(environment: Environment, tmp_path: Path) -> None:
    """Whatever moment a copy shows, it shows both keys of one commit."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with environment.write() as txn:
                for key in (b"a", b"b"):
                    txn.put("segments", key, b"%d" % number * 3000)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(10):
            target = tmp_path / f"{number}.mvdb"
            environment.copy(target, compact=number % 2 == 0)
            found = contents(target)
            assert found.get(b"a") == found.get(b"b")
    finally:
        stop.set()
        thread.join()


def test_compaction(path: str, tmp_path: Path) -> None:
    with Environment.open(path) as environment, Environment.open(path, readonly=True) as other:
        os.chmod(path, 0o640)
        for number in range(10):
            put(environment, b"%d" % number, bytes(300_000))
        with environment.write() as txn:
            for number in range(10):
                txn.delete("segments", b"%d" % number)
            txn.put("segments", b"k", b"v")
        with environment.read() as txn:
            epoch = txn.epoch
        environment.compact()
        assert environment.size() < 100_000
        for handle in (environment, other):
            with handle.read() as txn:
                assert txn.epoch != epoch
                assert bytes(txn.get("segments", b"k") or b"") == b"v"
        put(environment, b"l", b"w")
        with Environment.open(path) as third:
            assert third._shared is environment._shared
        environment.compact()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert contents(path) == {b"k": b"v", b"l": b"w"}
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_compaction_gives_up_while_a_snapshot_stays(path: str, tmp_path: Path) -> None:
    with Environment.open(path, limits=Limits(drain_seconds=0.1)) as environment:
        put(environment, b"k", b"v")
        before = os.stat(environment.path).st_ino
        with environment.read() as txn:
            with pytest.raises(BusyError, match="stayed open"):
                environment.compact()
            assert txn.count("segments") == 1
        with environment.write(timeout=0), pytest.raises(BusyError, match="this thread"):
            environment.compact()
        assert os.stat(environment.path).st_ino == before
        put(environment, b"l", b"v")
        assert sorted(os.listdir(tmp_path)) == ["test.mvdb", "test.mvdb-lock"]


@pytest.mark.parametrize("options", ["", ", readonly=True"])
def test_compaction_gives_up_while_another_process_is_present(
    path: str, tmp_path: Path, options: str
) -> None:
    script = f"""
        environment = Environment.open(path{options})
        say("open"); hear()
        with environment.read() as txn:
            say(str(txn.count("segments")))
        hear()
    """
    with Environment.open(path) as environment:
        put(environment, b"k", b"v")
        with Child(script, path) as child:
            child.expect("open")
            with pytest.raises(BusyError, match="other processes"):
                environment.compact()
            put(environment, b"l", b"v")
            child.tell()
            child.expect("2")
            child.tell()
            child.finish()
        environment.compact()
        put(environment, b"m", b"v")
    assert len(contents(path)) == 3
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_opening_during_compaction_gets_the_new_file(path: str, tmp_path: Path) -> None:
    script = """
        rounds = 0
        while rounds < 30 or not os.path.exists(sys.argv[2]):
            with Environment.open(path) as environment:
                with environment.write(timeout=PATIENCE) as txn:
                    value = txn.get("ids", b"n")
                    txn.put("ids", b"n", b"%d" % (int(value or 0) + 1))
            rounds += 1
        say(str(rounds))
    """
    enough = tmp_path / "enough"
    with Environment.open(path) as environment:
        put(environment, b"k", bytes(100_000))
    with Child(script, path, enough) as one, Child(script, path, enough) as two:
        while one.process.poll() is None or two.process.poll() is None:
            with Environment.open(path) as environment:
                try:
                    environment.compact()
                    enough.touch()  # the processes go on until one compaction met no other
                except BusyError:
                    pass
        rounds = int(one.hear()) + int(two.hear())
        one.finish()
        two.finish()
    with Environment.open(path) as environment, environment.read() as txn:
        assert bytes(txn.get("ids", b"n") or b"") == b"%d" % rounds


def test_killed_during_compaction(path: str, tmp_path: Path) -> None:
    script = """
        environment = Environment.open(path)
        say("go")
        while True:
            environment.compact()
    """
    with Environment.open(path) as environment:
        put(environment, b"k", b"v" * 3_000_000)
    expected = contents(path)
    for attempt in range(8):
        with Child(script, path) as child:
            child.expect("go")
            threading.Event().wait(0.01 + attempt * 0.007)
            child.kill()
        assert contents(path) == expected
        with Environment.open(path):
            pass
        assert os.listdir(tmp_path) == ["test.mvdb"]


def test_a_failing_rename_changes_nothing(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "injected")

    put(environment, b"k", b"v")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError):
        environment.compact()
    monkeypatch.undo()
    put(environment, b"l", b"v")
    environment.compact()
    with environment.read() as txn:
        assert txn.count("segments") == 2


def test_a_file_that_could_not_be_opened_again_is_opened_later(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call ended in an error of LMDB or in AttributeError."""
    original = lmdb.open

    def fail(path: bytes, **options: object) -> object:
        if os.fsdecode(path) == environment.path:
            error = lmdb.Error("injected")
            error.code = errno.EINVAL  # type: ignore[misc]
            raise error
        return original(path, **options)

    put(environment, b"k", b"v")
    monkeypatch.setattr(lmdb, "open", fail)
    for _ in range(2):
        with pytest.raises(mvdb.Error, match="injected"):
            environment.compact()
        with pytest.raises(mvdb.Error, match="injected"):
            environment.read()
    monkeypatch.undo()
    put(environment, b"l", b"v")
    environment.compact()
    with environment.read() as txn:
        assert txn.count("segments") == 2
