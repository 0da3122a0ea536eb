from __future__ import annotations

import os
import random
import threading

import pytest

from mvdb.errors import BusyError, ClosedError
from mvdb.storage import commit
from mvdb.storage.environment import Environment
from mvdb.storage.lifecycle import Lifecycle
from mvdb.storage.write_transaction import WriteTransaction
from tests.support.patience import PATIENCE


def fill(environment: Environment, entries: dict[bytes, bytes], table: str = "ids") -> None:
    with environment.write() as txn:
        for key, value in entries.items():
            txn.put(table, key, value)


def contents(environment: Environment, table: str = "ids") -> dict[bytes, bytes]:
    with environment.read() as txn:
        return {bytes(key): bytes(value) for key, value in txn.iterate(table)}


def test_commit_and_rollback(environment: Environment) -> None:
    fill(environment, {b"a": b"1"})

    def fail(txn: WriteTransaction) -> None:
        txn.put("ids", b"a", b"2")
        txn.delete_prefix("ids", b"a")
        raise KeyError("oops")

    with pytest.raises(KeyError, match="oops"), environment.write() as txn:
        fail(txn)
    txn = environment.write()
    txn.put("ids", b"b", b"2")
    txn.abort()
    txn.abort()
    assert contents(environment) == {b"a": b"1"}


def test_a_reader_sees_one_state(environment: Environment) -> None:
    fill(environment, {b"a": b"1"})
    with environment.read() as before:
        with environment.write() as txn:
            txn.put("ids", b"a", b"2")
            with environment.read() as meanwhile:
                assert bytes(meanwhile.get("ids", b"a") or b"") == b"1"
        with environment.read() as after:
            assert bytes(after.get("ids", b"a") or b"") == b"2"
            assert after.id == before.id + 1
        assert bytes(before.get("ids", b"a") or b"") == b"1"


def test_a_writer_sees_its_own_writes(environment: Environment) -> None:
    with environment.write() as txn:
        txn.put("ids", b"k", b"v")
        assert bytes(txn.get("ids", b"k") or b"") == b"v"
        assert txn.get("segments", b"k") is None
        assert txn.count("ids") == 1
        assert txn.delete("ids", b"k")
        assert not txn.delete("ids", b"k")


def test_values_are_read_only_views(environment: Environment) -> None:
    fill(environment, {b"k": b"v" * 10_000})
    with environment.read() as txn:
        value = txn.get("ids", b"k")
        assert isinstance(value, memoryview)
        assert value.readonly
        assert value.nbytes == 10_000


KEYS = [
    b"",
    b"a",
    b"a\x00",
    b"a\xff",
    b"a\xff\xff",
    b"b",
    b"ba",
    b"\xfe",
    b"\xfe\xff",
    b"\xfe\xffa",
]


@pytest.mark.parametrize("start", [None, *KEYS, b"zz"])
def test_iterate(environment: Environment, start: bytes | None) -> None:
    keys = [key for key in KEYS if key]
    fill(environment, {key: key for key in keys})
    expected = sorted(key for key in keys if start is None or key >= start)
    with environment.read() as txn:
        assert [bytes(key) for key, _ in txn.iterate("ids", start)] == expected


def test_iterate_an_empty_table(environment: Environment) -> None:
    with environment.read() as txn:
        assert list(txn.iterate("ids")) == []
        assert txn.count("ids") == 0


@pytest.mark.parametrize("prefix", [b"a", b"a\xff", b"b", b"nothing", b"\xfe\xff"])
def test_delete_prefix(environment: Environment, prefix: bytes) -> None:
    keys = [key for key in KEYS if key]
    fill(environment, dict.fromkeys(keys, b"v" * 5000))
    with environment.write() as txn:
        gone = [key for key in keys if key.startswith(prefix)]
        assert txn.delete_prefix("ids", prefix) == len(gone)
    assert sorted(contents(environment)) == sorted(set(keys) - set(gone))


def test_use_after_the_end(environment: Environment) -> None:
    reader = environment.read()
    reader.close()
    reader.close()
    assert reader.closed
    with pytest.raises(ClosedError, match="has ended"):
        reader.get("ids", b"k")
    with pytest.raises(ClosedError):
        reader.count("ids")
    with pytest.raises(ClosedError):
        list(reader.iterate("ids"))
    writer = environment.write()
    writer.commit()
    with pytest.raises(ClosedError):
        writer.put("ids", b"k", b"v")
    with pytest.raises(ClosedError):
        writer.commit()
    writer.abort()


def test_a_forgotten_transaction_is_no_obstacle(environment: Environment) -> None:
    environment.read()
    environment.write()
    with environment.write(timeout=0) as txn:
        txn.put("ids", b"k", b"v")


def test_one_write_transaction_per_thread(environment: Environment) -> None:
    with environment.write(), pytest.raises(BusyError, match="this thread already"):
        environment.write()


def test_against_a_model(path: str) -> None:
    random_numbers = random.Random(7)
    model: dict[bytes, bytes] = {}
    for _ in range(20):
        with Environment.open(path) as environment:
            for _ in range(10):
                with environment.write() as txn:
                    for _ in range(30):
                        key = b"%03d" % random_numbers.randrange(60)
                        if random_numbers.random() < 0.7:
                            size = random_numbers.choice([0, 10, 3000, 50_000])
                            model[key] = random_numbers.randbytes(size)
                            txn.put("segments", key, model[key])
                        else:
                            assert txn.delete("segments", key) == (model.pop(key, None) is not None)
            assert contents(environment, "segments") == model


def test_readers_writer_and_closer_in_threads(path: str) -> None:
    """Every reader sees two tables agree, or that the handle was closed; nothing crashes."""
    problems: list[BaseException] = []
    environment = Environment.open(path)
    fill(environment, {b"n": b"0"})
    fill(environment, {b"n": b"0"}, "meta")
    started = threading.Barrier(6)

    def read() -> None:
        started.wait()
        try:
            while True:
                with environment.read() as txn:
                    ours = bytes(txn.get("ids", b"n") or b"")
                    assert ours == bytes(txn.get("meta", b"n") or b"")
        except ClosedError:
            pass
        except BaseException as error:
            problems.append(error)

    def write() -> None:
        started.wait()
        try:
            for number in range(100_000):
                with environment.write() as txn:
                    txn.put("ids", b"n", b"%d" % number)
                    txn.put("meta", b"n", b"%d" % number)
        except ClosedError:
            pass
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    started.wait()
    threading.Event().wait(0.5)
    environment.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not problems


def test_closed_by_another_thread_while_a_write_begins(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write says that the handle is closed; the file is not touched after its release."""
    environment = Environment.open(path)
    fill(environment, {b"n": b"0"})
    take_mark_off = commit.take_mark_off

    def close_first(lifecycle: Lifecycle) -> None:
        closer = threading.Thread(target=environment.close)
        closer.start()
        closer.join(PATIENCE)
        assert os.fstat(lifecycle.descriptor).st_size
        take_mark_off(lifecycle)

    monkeypatch.setattr(commit, "take_mark_off", close_first)
    with pytest.raises(ClosedError):
        environment.write()
    monkeypatch.undo()
    with Environment.open(path) as again, again.write() as txn:
        txn.put("ids", b"n", b"1")
