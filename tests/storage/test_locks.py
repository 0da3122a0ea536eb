"""One writer at a time, everybody's presence, and the life of the lock file."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import Child, run

from mvdb.errors import BusyError, ClosedError, ReadOnlyError
from mvdb.limits import Limits
from mvdb.storage import registry
from mvdb.storage.environment import Environment
from tests.support.patience import PATIENCE

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fcntl")

HOLD = """
    environment = Environment.open(path)
    txn = environment.write()
    txn.put("ids", b"theirs", b"v")
    say("writing"); hear()
    txn.commit()
    say("done"); hear()
    environment.close()
"""


def test_lock_file_is_there_while_open_and_gone_after(path: str, tmp_path: Path) -> None:
    with Environment.open(path):
        assert sorted(os.listdir(tmp_path)) == ["test.mvdb", "test.mvdb-lock"]
    assert os.listdir(tmp_path) == ["test.mvdb"]


@posix
def test_the_last_process_removes_the_lock_file(path: str, tmp_path: Path) -> None:
    script = """
        environment = Environment.open(path)
        say("open"); hear()
        environment.close()
        say("closed"); hear()
    """
    ours = Environment.open(path)
    with Child(script, path) as child:
        child.expect("open")
        ours.close()
        assert "test.mvdb-lock" in os.listdir(tmp_path)
        child.tell()
        child.expect("closed")
        assert os.listdir(tmp_path) == ["test.mvdb"]


def test_a_lock_file_left_by_a_kill_is_no_obstacle(path: str, tmp_path: Path) -> None:
    with Child(HOLD, path) as child:
        child.expect("writing")
        child.kill()
    assert "test.mvdb-lock" in os.listdir(tmp_path)
    with Environment.open(path) as environment, environment.write(timeout=0) as txn:
        assert txn.get("ids", b"theirs") is None
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_threads_wait_for_each_other(environment: Environment) -> None:
    order: list[str] = []

    def second() -> None:
        with environment.write() as txn:
            order.append("second")
            txn.put("ids", b"k", b"2")

    with environment.write() as txn:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
        txn.put("ids", b"k", b"1")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("timeout", [0, 0.1])
def test_a_thread_gives_up(environment: Environment, timeout: float) -> None:
    caught: list[BaseException] = []

    def second() -> None:
        try:
            environment.write(timeout=timeout)
        except BusyError as error:
            caught.append(error)

    with environment.write():
        thread = threading.Thread(target=second)
        started = time.monotonic()
        thread.start()
        thread.join()
        assert timeout <= time.monotonic() - started < timeout + PATIENCE
    assert len(caught) == 1
    assert "another thread" in str(caught[0])


@posix
@pytest.mark.parametrize("timeout", [0, 0.2])
def test_a_process_gives_up_or_waits(path: str, timeout: float) -> None:
    with Environment.open(path) as environment, Child(HOLD, path) as child:
        child.expect("writing")
        started = time.monotonic()
        with pytest.raises(BusyError, match="another process"):
            environment.write(timeout=timeout)
        assert timeout <= time.monotonic() - started < timeout + PATIENCE
        with environment.read() as txn:  # readers do not wait
            assert txn.get("ids", b"theirs") is None
        threading.Timer(0.1, child.tell).start()
        with environment.write() as txn:
            assert txn.get("ids", b"theirs") is not None
        child.expect("done")
        child.tell()
        child.finish()


@posix
def test_opening_does_not_wait_for_a_writer(path: str) -> None:
    """Found in review: py-lmdb opens named tables in a write transaction."""
    Environment.open(path).close()
    with Child(HOLD, path) as child:
        child.expect("writing")
        started = time.monotonic()
        with Environment.open(path) as environment:
            assert time.monotonic() - started < PATIENCE
            with environment.read() as txn:
                assert txn.get("ids", b"theirs") is None
            with pytest.raises(BusyError, match=r"for 0.05 s"):
                environment.write(timeout=0.05)
            child.tell()
            child.expect("done")
            with environment.write(timeout=PATIENCE) as txn:
                assert txn.get("ids", b"theirs") is not None
                txn.put("ids", b"ours", b"v")
            with environment.read() as txn:
                assert txn.get("ids", b"ours") is not None
            child.tell()
            child.finish()


@posix
def test_a_killed_writer_lets_the_next_one_in(path: str) -> None:
    with Environment.open(path) as environment:
        with Child(HOLD, path) as child:
            child.expect("writing")
            child.kill()
        with environment.write(timeout=PATIENCE) as txn:
            assert txn.get("ids", b"theirs") is None
            txn.put("ids", b"ours", b"v")


@posix
def test_two_processes_write_by_turns(path: str) -> None:
    script = """
        with Environment.open(path) as environment:
            for _ in range(100):
                with environment.write(timeout=PATIENCE) as txn:
                    value = txn.get("ids", b"n")
                    txn.put("ids", b"n", b"%d" % (int(value or 0) + 1))
    """
    Environment.open(path).close()
    with Child(script, path) as one, Child(script, path) as two:
        one.finish()
        two.finish()
    with Environment.open(path) as environment, environment.read() as txn:
        assert bytes(txn.get("ids", b"n") or b"") == b"200"


@posix
def test_processes_come_and_go(path: str, tmp_path: Path) -> None:
    """Opening and closing race for the lock file; no commit may get lost."""
    script = """
        for _ in range(40):
            with Environment.open(path) as environment:
                with environment.write(timeout=PATIENCE) as txn:
                    value = txn.get("ids", b"n")
                    txn.put("ids", b"n", b"%d" % (int(value or 0) + 1))
    """
    Environment.open(path).close()
    children = [Child(script, path) for _ in range(4)]
    for child in children:
        with child:
            child.finish()
    with Environment.open(path) as environment, environment.read() as txn:
        assert bytes(txn.get("ids", b"n") or b"") == b"160"
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_handles_share_one_environment(path: str, tmp_path: Path) -> None:
    os.symlink(path, tmp_path / "link")
    one = Environment.open(path)
    two = Environment.open(tmp_path / "link")
    three = Environment.open(path, readonly=True)
    assert one._shared is two._shared is three._shared
    with one.write() as txn:
        txn.put("ids", b"k", b"v")
    one.close()
    one.close()
    with three.read() as txn:
        assert txn.get("ids", b"k") is not None
    with pytest.raises(ReadOnlyError):
        three.write()
    with two.write(timeout=0) as txn:
        txn.put("ids", b"k", b"w")
    for closed in (one.read, one.write, lambda: one.path, lambda: one.poisoned, one.size):
        with pytest.raises(ClosedError):
            closed()
    two.close()
    three.close()
    assert not registry.open_environments()


def test_a_read_only_handle_is_widened_for_a_writer(path: str) -> None:
    Environment.open(path).close()
    with Environment.open(path, readonly=True) as reader:
        snapshot = reader.read()
        snapshot.close()
        with Environment.open(path) as writer:
            with writer.write() as txn:
                txn.put("ids", b"k", b"v")
            with reader.read() as txn:
                assert txn.get("ids", b"k") is not None
        with pytest.raises(ReadOnlyError):
            reader.write()


def test_widening_gives_up_while_a_snapshot_stays(path: str) -> None:
    Environment.open(path).close()
    with Environment.open(path, readonly=True, limits=Limits(drain_seconds=0.1)) as reader:
        with reader.read() as txn:
            with pytest.raises(BusyError, match="stayed open"):
                Environment.open(path)
            assert txn.count("ids") == 0
        with Environment.open(path) as writer, writer.write():
            pass


def test_closing_with_transactions_open(path: str, tmp_path: Path) -> None:
    environment = Environment.open(path)
    with environment.write() as txn:
        txn.put("ids", b"k", b"v" * 5000)
    reader = environment.read()
    writer = environment.write()
    environment.close()
    assert bytes(reader.get("ids", b"k") or b"") == b"v" * 5000
    writer.put("ids", b"k", b"w")
    writer.commit()
    assert "test.mvdb-lock" in os.listdir(tmp_path)
    reader.close()
    assert os.listdir(tmp_path) == ["test.mvdb"]
    with Environment.open(path) as again, again.read() as txn:
        assert bytes(txn.get("ids", b"k") or b"") == b"w"


def test_opening_again_while_a_transaction_keeps_it_open(path: str) -> None:
    first = Environment.open(path)
    reader = first.read()
    first.close()
    with Environment.open(path) as second:
        reader.close()
        with second.write() as txn:
            txn.put("ids", b"k", b"v")


def test_many_threads_open_and_close(path: str, tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                with Environment.open(path) as environment, environment.write() as txn:
                    value = txn.get("ids", b"n")
                    txn.put("ids", b"n", b"%d" % (int(bytes(value or b"0")) + 1))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    with Environment.open(path) as environment, environment.read() as txn:
        assert bytes(txn.get("ids", b"n") or b"") == b"120"


def test_a_full_reader_table_is_reported(path: str) -> None:
    out = run(
        """
        from mvdb.limits import Limits
        with Environment.open(path, limits=Limits(max_readers=4)) as environment:
            readers = []
            try:
                for _ in range(1000):
                    readers.append(environment.read())
            except errors.BusyError as error:
                print("too many readers" in str(error), len(readers) < 1000)
            for reader in readers:
                reader.close()
            environment.read().close()
        """,
        path,
    )
    assert out == "True True"


def test_slots_of_killed_readers_are_freed(path: str) -> None:
    script = """
        environment = Environment.open(path)
        txn = environment.read()
        say("reading"); hear()
    """
    with Environment.open(path) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        with Child(script, path) as child:
            child.expect("reading")
            child.kill()
        for number in range(200):
            with environment.write() as txn:
                txn.put("segments", b"k", b"%d" % number * 20_000)
        assert environment.size() < 1 << 20
