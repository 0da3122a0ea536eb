"""Address space: reserved generously, grown when it must be, little where there is little."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from processes import Child, run

from mvdb.errors import BusyError, StorageFullError
from mvdb.storage import growth, opening
from mvdb.storage.environment import Environment


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reserve as little as where address space is scarce."""
    monkeypatch.setattr(opening, "_RESERVE", 1 << 20)
    monkeypatch.setattr(growth, "_SLACK", 1 << 20)
    monkeypatch.setattr(growth, "_DRAIN_SECONDS", 0.2)


SMALL = """
    from mvdb.storage import growth, opening
    opening._RESERVE = 1 << 20
"""


def mapped(environment: Environment) -> int:
    assert environment._shared is not None
    return int(environment._shared.environment.info()["map_size"])


def test_much_is_reserved(environment: Environment) -> None:
    assert mapped(environment) >= 256 << 30


def test_ensure_room(path: str, small: None) -> None:
    with Environment.open(path) as environment:
        assert mapped(environment) < 2 << 20
        with environment.read() as txn:
            epoch = txn.epoch
        with environment.write() as txn:
            txn.ensure_room(1000)
            assert txn.epoch == epoch or mapped(environment) > 1 << 20
        with environment.write() as txn:
            txn.ensure_room(20 << 20)
            assert txn.epoch > epoch
            txn.put("segments", b"k", bytes(20 << 20))
        assert mapped(environment) > 20 << 20
        environment.ensure_room(100 << 20)
        assert mapped(environment) > 100 << 20
        with environment.read() as txn:
            assert len(txn.get("segments", b"k") or b"") == 20 << 20


def test_growing_waits_for_readers(path: str, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_DRAIN_SECONDS", 5.0)
    with Environment.open(path) as environment:
        reader = environment.read()
        threading.Timer(0.2, reader.close).start()
        with environment.write() as txn:
            txn.ensure_room(20 << 20)
            assert reader.closed
            txn.put("segments", b"k", bytes(20 << 20))


def test_growing_gives_up_and_harms_nothing(path: str, small: None) -> None:
    with Environment.open(path) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        with environment.read() as reader:
            with pytest.raises(BusyError, match="stayed open"), environment.write() as txn:
                txn.ensure_room(20 << 20)
            assert bytes(reader.get("ids", b"k") or b"") == b"v"
            with environment.read() as other:  # the gate is open again
                assert other.count("ids") == 1
        with environment.write(timeout=0) as txn:
            txn.ensure_room(20 << 20)
            txn.put("ids", b"l", b"v")
        with environment.read() as txn:
            assert txn.count("ids") == 2


def test_growth_by_another_process_is_adopted(path: str, small: None) -> None:
    script = """
        with Environment.open(path) as environment:
            with environment.write() as txn:
                txn.put("segments", b"k", b"v" * (30 << 20))
        say("done")
    """
    with Environment.open(path) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        for begin in ("read", "write"):
            with Child(script, path) as child:
                child.expect("done")
            with getattr(environment, begin)() as txn:
                assert len(txn.get("segments", b"k") or b"") == 30 << 20
            with environment.write() as txn:
                txn.ensure_room(1 << 20)
                txn.put("ids", b"l", b"v")


def test_growth_under_readers_in_threads(path: str, small: None) -> None:
    problems: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                with environment.read() as txn:
                    for _, value in txn.iterate("segments"):
                        assert bytes(value[:10]) == bytes(value[-10:])
        except BaseException as error:
            problems.append(error)

    with Environment.open(path) as environment:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(40):
            with environment.write() as txn:
                txn.ensure_room(2 << 20)
                txn.put("segments", b"%d" % number, bytes([number]) * (1 << 20))
        stop.set()
        for thread in threads:
            thread.join()
    assert not problems


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of address space")
def test_little_address_space(path: str) -> None:
    out = run(
        """
        import resource
        import numpy, lmdb.verify  # what is loaded counts, too
        used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20),) * 2)
        with Environment.open(path) as environment:
            size = environment._shared.environment.info()["map_size"]
            print((32 << 20) < size < (700 << 20))
            with environment.write() as txn:
                txn.ensure_room(10 << 20)
                txn.put("segments", b"k", bytes(10 << 20))
            try:
                environment.ensure_room(2 << 30)
            except errors.StorageFullError as error:
                print("address space" in str(error))
            with environment.read() as txn:
                print(len(txn.get("segments", b"k")) == 10 << 20)
            with environment.write() as txn:
                txn.put("segments", b"l", b"v")
        """,
        path,
    )
    assert out.split() == ["True"] * 3


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of address space")
def test_too_little_for_the_file_itself(path: str) -> None:
    with Environment.open(path):
        pass
    os.truncate(path, 3 << 30)  # sparse: a large file that costs nothing
    out = run(
        """
        import resource
        import numpy, lmdb.verify
        used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20),) * 2)
        try:
            Environment.open(path)
        except errors.StorageFullError as error:
            print("address space" in str(error))
        """,
        path,
    )
    assert out == "True"


def test_probe() -> None:
    assert opening.has_address_space(0)
    assert opening.has_address_space(1 << 30)
    assert not opening.has_address_space(1 << 60)
    assert not opening.has_address_space(1 << 80)


def test_no_address_space_to_grow_into(
    path: str, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Environment.open(path) as environment:
        monkeypatch.setattr(growth, "has_address_space", lambda size: False)
        with pytest.raises(StorageFullError, match="no address space"):
            environment.ensure_room(20 << 20)
        with environment.write(timeout=0) as txn:
            txn.put("ids", b"k", b"v")


def test_size_on_disk(environment: Environment, path: str) -> None:
    with environment.write() as txn:
        txn.put("segments", b"k", os.urandom(1_000_000))
    assert 1_000_000 < environment.size() <= Path(path).stat().st_size
