"""Address space: reserved generously, grown when it must be, little where there is little."""

from __future__ import annotations

import errno
import mmap
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from processes import Child, run

from mvdb.errors import BusyError, StorageFullError
from mvdb.limits import Limits
from mvdb.storage import opening
from mvdb.storage.environment import Environment, WriteTransaction
from tests.support.patience import PATIENCE

SMALL = Limits(reserved_bytes=1 << 20, map_room=1 << 20, map_slack=1 << 20, drain_seconds=0.2)
"""Reserve as little as where address space is scarce."""


def mapped(environment: Environment) -> int:
    assert environment._shared is not None
    return environment._shared.lifecycle.file.map.mapped


def fill(txn: WriteTransaction, key: bytes, size: int) -> int:
    """Store so many bytes, in a larger map when that one is full; how often that was needed."""
    repeated = 0
    while True:
        try:
            txn.put("segments", key, bytes(size))
            return repeated
        except StorageFullError:
            if not txn.full:
                raise
        txn.begin_again()
        repeated += 1


def test_the_reservation_is_modest(environment: Environment) -> None:
    assert 1 << 30 < mapped(environment) <= 16 << 30


@pytest.mark.skipif(sys.platform != "linux", reason="counts on 128 TiB of address space")
def test_many_databases_are_open_at_once(path: str) -> None:
    """Each open database reserved 256 GiB: the 539th found no address space left."""
    out = run(
        """
        Environment.open(path).close()
        import shutil, resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opened = []
        for number in range(min(700, hard // 8)):
            shutil.copyfile(path, f"{path}{number}")
            opened.append(Environment.open(f"{path}{number}"))
            with opened[-1].write() as txn:
                txn.put("ids", b"k", b"v")
        for environment in opened:
            with environment.read() as txn:
                assert txn.get("ids", b"k") is not None
            environment.close()
        print("all")
        """,
        path,
    )
    assert out == "all"


def test_the_map_grows_before_it_is_full(path: str) -> None:
    """Growth had no caller: an ordinary session ended with a full map on an empty disk."""
    with Environment.open(path, limits=SMALL) as environment:
        assert mapped(environment) < 4 << 20
        for number in range(100):
            with environment.write() as txn:
                txn.put("segments", b"%d" % number, bytes(200_000))
        assert mapped(environment) > 20 << 20
        with environment.read() as txn:
            assert txn.count("segments") == 100


def test_a_transaction_outgrows_the_map(path: str) -> None:
    with Environment.open(path, limits=SMALL) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"before")
        with environment.read() as txn:
            epoch = txn.epoch
        with environment.write() as txn:
            assert not txn.is_roomy
            txn.put("ids", b"k", b"during")
            assert fill(txn, b"big", 40 << 20)
            assert txn.epoch > epoch
            assert bytes(txn.get("ids", b"k") or b"") == b"before"  # rolled back, to be repeated
            txn.put("ids", b"k", b"after")
        with environment.read() as txn:
            assert bytes(txn.get("ids", b"k") or b"") == b"after"
            assert len(txn.get("segments", b"big") or b"") == 40 << 20


def test_no_other_writer_comes_between(path: str) -> None:
    """A transaction that begins again in a larger map stays the writer."""
    script = """
        with Environment.open(path) as environment:
            say("open")
            with environment.write() as txn:
                say(str(txn.get("segments", b"big") is not None))
    """
    with Environment.open(path, limits=SMALL) as environment:
        txn = environment.write()
        with Child(script, path) as child:
            child.expect("open")
            fill(txn, b"big", 40 << 20)
            txn.commit()
            child.expect("True")


def test_growing_waits_for_readers(path: str) -> None:
    with Environment.open(path, limits=replace(SMALL, drain_seconds=PATIENCE)) as environment:
        reader = environment.read()
        threading.Timer(0.2, reader.close).start()
        with environment.write() as txn:
            fill(txn, b"k", 20 << 20)
            assert reader.closed


def test_growing_gives_up_and_harms_nothing(path: str) -> None:
    with Environment.open(path, limits=SMALL) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        with environment.read() as reader:
            with pytest.raises(BusyError, match="stayed open"), environment.write() as txn:
                fill(txn, b"big", 20 << 20)
            assert bytes(reader.get("ids", b"k") or b"") == b"v"
            with environment.read() as other:  # the gate is open again
                assert other.count("ids") == 1
        with environment.write(timeout=0) as txn:
            fill(txn, b"big", 20 << 20)
            txn.put("ids", b"l", b"v")
        with environment.read() as txn:
            assert txn.count("ids") == 2


def test_growth_by_another_process_is_adopted(path: str) -> None:
    script = """
        with Environment.open(path) as environment:
            with environment.write() as txn:
                txn.put("segments", b"k", b"v" * (30 << 20))
        say("done")
    """
    with Environment.open(path, limits=SMALL) as environment:
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        for begin in ("read", "write"):
            with Child(script, path) as child:
                child.expect("done")
            with getattr(environment, begin)() as txn:
                assert len(txn.get("segments", b"k") or b"") == 30 << 20
            with environment.write() as txn:
                fill(txn, b"l", 1 << 20)


def test_growth_under_readers_in_threads(path: str) -> None:
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

    with Environment.open(path, limits=SMALL) as environment:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(40):
            with environment.write() as txn:
                fill(txn, b"%d" % number, 1 << 20)
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
            size = environment._shared.lifecycle.file.map.mapped
            print((32 << 20) < size < (700 << 20))
            with environment.write() as txn:
                txn.put("segments", b"k", bytes(10 << 20))
            try:
                with environment.write() as txn:
                    while True:
                        try:
                            txn.put("segments", b"big", bytes(200 << 20))
                            txn.put("segments", b"bigger", bytes(200 << 20))
                            break
                        except errors.StorageFullError:
                            if not txn.full:
                                raise
                        txn.begin_again()
            except (errors.StorageFullError, MemoryError) as error:
                print("address space" in str(error) or isinstance(error, MemoryError))
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


def no_address_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOMEM, "no address space")


def test_no_address_space_to_grow_into(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Environment.open(path, limits=SMALL) as environment:
        monkeypatch.setattr(mmap, "mmap", no_address_space)
        with (
            pytest.raises(StorageFullError, match="no address space"),
            environment.write() as txn,
        ):
            fill(txn, b"big", 20 << 20)
        with environment.write(timeout=0) as txn:
            txn.put("ids", b"k", b"v")


def test_size_on_disk(environment: Environment, path: str) -> None:
    with environment.write() as txn:
        txn.put("segments", b"k", os.urandom(1_000_000))
    assert 1_000_000 < environment.size() <= Path(path).stat().st_size
