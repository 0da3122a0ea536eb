"""Reading without writing anything beside the file, and meeting writers all the same."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Child, run

from mvdb.errors import BusyError, ReadOnlyError
from mvdb.storage import filelock
from mvdb.storage.environment import Environment
from tests.support.patience import PATIENCE
from tests.support.rights import CAN_GIVE_UP


@pytest.fixture
def path(path: str) -> str:
    with Environment.open(path) as environment, environment.write() as txn:
        txn.put("ids", b"k", b"v" * 5000)
    return path


def test_nothing_is_written(path: str, tmp_path: Path) -> None:
    before = os.stat(path)
    with Environment.open(path, readonly=True) as environment:
        assert os.listdir(tmp_path) == ["test.mvdb"]
        with environment.read() as txn:
            assert bytes(txn.get("ids", b"k") or b"") == b"v" * 5000
        with pytest.raises(ReadOnlyError, match="readonly=True"):
            environment.write()
        with pytest.raises(ReadOnlyError):
            environment.compact()
        environment.sync()
    after = os.stat(path)
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_beside_a_writer_it_uses_the_reader_table(path: str) -> None:
    script = """
        environment = Environment.open(path)
        say("open")
        while True:
            hear()
            with environment.write() as txn:
                txn.put("ids", b"k", os.urandom(5000))
            say("written")
    """
    with Child(script, path) as child:
        child.expect("open")
        with Environment.open(path, readonly=True) as environment:
            assert environment._shared is not None
            assert environment._shared.lifecycle.mode.lock
            with environment.read() as txn:
                for _ in range(5):
                    child.tell()
                    child.expect("written")
                assert bytes(txn.get("ids", b"k") or b"") == b"v" * 5000


@pytest.mark.skipif(not filelock.HAVE_OFD, reason="needs open-file-description locks")
def test_a_writer_that_comes_later_spares_the_readers_pages(path: str) -> None:
    """A reader without lock file is not in the reader table: the writer has to wait for it."""
    script = """
        environment = Environment.open(path)
        for number in range(5):
            try:
                with environment.write(timeout=PATIENCE if number else 0.3) as txn:
                    txn.put("ids", b"k", b"w" * 5000)
                say("written")
            except errors.BusyError as error:
                assert "read-only process" in str(error), error
                say("busy")
            hear()
    """
    with Environment.open(path, readonly=True) as environment:
        assert environment._shared is not None
        assert not environment._shared.lifecycle.mode.lock
        txn = environment.read()
        with Child(script, path) as child:
            child.expect("busy")
            assert bytes(txn.get("ids", b"k") or b"") == b"v" * 5000
            txn.close()
            child.tell()
            child.expect("written")
            with environment.read() as txn:
                assert bytes(txn.get("ids", b"k") or b"") == b"w" * 5000
                assert environment._shared.lifecycle.mode.lock  # it joined
                child.tell()
                child.expect("written")  # and is no obstacle any more


@pytest.mark.skipif(not filelock.HAVE_OFD, reason="needs open-file-description locks")
def test_busy_readers_join_an_arriving_writer(path: str) -> None:
    script = """
        with Environment.open(path) as environment:
            for number in range(20):
                with environment.write(timeout=PATIENCE) as txn:
                    txn.put("ids", b"k", b"w" * 5000)
        say("done")
    """
    stop = threading.Event()
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                with environment.read() as txn:
                    value = bytes(txn.get("ids", b"k") or b"")
                    assert value in (b"v" * 5000, b"w" * 5000)
        except BaseException as error:
            problems.append(error)

    with Environment.open(path, readonly=True) as environment:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        with Child(script, path) as child:
            child.expect("done")
            child.finish()
        stop.set()
        for thread in threads:
            thread.join()
    assert not problems


def test_many_lockless_readers_and_an_opener(path: str) -> None:
    """An untrusted file with lockless readers around is checked under a shared lock."""
    os.utime(path)
    script = """
        environment = Environment.open(path, readonly=True)
        say("open"); hear()
    """
    with Child(script, path) as child:
        child.expect("open")
        calls: list[object] = []
        started = time.monotonic()
        Environment.open(path, check=calls.append).close()
        assert len(calls) == 1
        assert time.monotonic() - started < PATIENCE


def test_a_stale_lock_file(path: str, tmp_path: Path) -> None:
    Path(path + "-lock").write_bytes(b"what is this")
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        assert txn.count("ids") == 1


@pytest.mark.skipif(not CAN_GIVE_UP, reason="root cannot give up its rights on this system")
def test_read_only_file_and_folder(path: str, tmp_path: Path) -> None:
    """In a child, which gives up what root may do. It became another user, who could not import
    from a checkout in a folder of mode 0700."""
    os.chmod(path, 0o444)
    os.chmod(tmp_path, 0o555)
    try:
        out = run(
            """
            from tests.support import rights
            # Once with all rights: what is imported at first use may lie where they are needed.
            with Environment.open(path, readonly=True) as environment:
                pass
            rights.give_up()
            with Environment.open(path, readonly=True) as environment, environment.read() as txn:
                print(txn.count("ids"))
            try:
                Environment.open(path)
            except PermissionError as error:
                print("readonly=True" in str(error))
            """,
            path,
        )
    finally:
        os.chmod(tmp_path, 0o755)
    assert out.split() == ["1", "True"]


@pytest.fixture
def read_only_mount(path: str, tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "mount"
    target.mkdir()
    commands = (
        ["mount", "--bind", str(tmp_path), str(target)],
        ["mount", "-o", "remount,ro,bind", str(target)],
    )
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            subprocess.run(["umount", str(target)], check=False, capture_output=True)
            pytest.skip(f"cannot mount: {error}")
    yield target
    subprocess.run(["umount", str(target)], check=False)


def test_read_only_medium(read_only_mount: Path) -> None:
    path = read_only_mount / "test.mvdb"
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        assert txn.count("ids") == 1
    with pytest.raises(PermissionError, match="readonly=True"):
        Environment.open(path)


def test_a_lockless_reader_pins_writers_no_longer_than_its_transaction(path: str) -> None:
    script = """
        with Environment.open(path) as environment:
            say("open")
            environment.write(timeout=PATIENCE).abort()
        say("done")
    """
    with Environment.open(path, readonly=True) as environment:
        txn = environment.read()
        with Child(script, path) as child:
            child.expect("open")
            time.sleep(0.2)
            txn.close()
            child.expect("done")
    assert issubclass(BusyError, TimeoutError)


def test_a_handle_that_comes_as_the_last_transaction_ends_keeps_the_file_open(path: str) -> None:
    seen: list[bytes] = []

    def meet() -> None:
        first = Environment.open(path, readonly=True)
        transaction = first.read()
        assert first._shared is not None
        lock = first._shared.lifecycle.lock
        first.close()
        with lock:  # the transaction ends now, and waits to finish the file
            ending = threading.Thread(target=transaction.close)
            ending.start()
            ending.join(0.2)
            second = Environment.open(path, readonly=True)
        ending.join()
        with second, second.read() as txn:
            seen.append(bytes(txn.get("ids", b"k") or b""))

    meeting = threading.Thread(target=meet)  # the main thread's steps run in another thread
    meeting.start()
    meeting.join()
    assert seen == [b"v" * 5000]
