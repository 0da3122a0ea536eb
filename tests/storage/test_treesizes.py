"""Sizes of a table's entries from its pages: `stats()` read every value of the file, a gigabyte of
them, to add up their sizes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvdb.errors import CorruptionError
from mvdb.storage.environment import Environment, ReadTransaction
from mvdb.storage.lmdb import tree_sizes


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with Environment.open(tmp_path / "a.mvdb") as environment:
        yield environment


def counted(txn: ReadTransaction, length: int) -> dict[bytes, tuple[int, int]]:
    result: dict[bytes, tuple[int, int]] = {}
    for key, value in txn.iterate("segments"):
        keys, values = result.get(bytes(key[:length]), (0, 0))
        result[bytes(key[:length])] = keys + len(key), values + len(value)
    return result


def found(txn: ReadTransaction, length: int) -> dict[bytes, tuple[float, float]]:
    return {
        prefix: (size.keys, size.values) for prefix, size in txn.sizes("segments", length).items()
    }


def part(segment: int, number: int, index: int) -> bytes:
    return segment.to_bytes(8, "big") + bytes((number,)) + index.to_bytes(4, "big")


@pytest.mark.parametrize("seed", range(8))
def test_sizes_are_those_of_reading_everything(environment: Environment, seed: int) -> None:
    """Small and large values, many prefixes, some entries deleted again; no run of leaves is long
    enough to be sampled."""
    rng = random.Random(seed)
    for _ in range(3):
        with environment.write() as txn:
            for segment in rng.sample(range(40), 12):
                for number in range(1, rng.randrange(2, 9)):
                    for index in range(rng.choice((1, 3, 20))):
                        size = rng.choice((0, 1, 30, 500, 2000, 5000, 40_000))
                        txn.put("segments", part(segment, number, index), os.urandom(size))
            txn.delete_prefix("segments", part(rng.randrange(40), 1, 0)[:8])
    with environment.read() as txn:
        for length in (9, 13):
            assert found(txn, length) == counted(txn, length)
    with environment.write() as txn:
        assert found(txn, 9) == counted(txn, 9)
        txn.abort()


def test_tables_of_any_depth(environment: Environment) -> None:
    with environment.read() as txn:
        assert txn.sizes("segments", 9) == {}
    with environment.write() as txn:
        txn.put("segments", part(1, 1, 0), b"abc")
    with environment.read() as txn:
        assert found(txn, 9) == {part(1, 1, 0)[:9]: (13, 3)}


def test_long_runs_are_estimated_from_an_even_sample(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few pages are read, and what lies between other prefixes is exact all the same."""
    with environment.write() as txn:
        for index in range(30_000):
            txn.put("segments", part(1, 5, index), bytes(100 + index // 300))
        for segment in (0, 2):
            for index in range(20):
                txn.put("segments", part(segment, 1, index), bytes(3000))
    read: list[int] = []
    original = tree_sizes.Tree._prefetch

    def prefetch(self: tree_sizes.Tree, numbers: tree_sizes.Numbers) -> None:
        read.extend(numbers.tolist())
        original(self, numbers)

    monkeypatch.setattr(tree_sizes.Tree, "_prefetch", prefetch)
    with environment.read() as txn:
        expected, sizes = counted(txn, 9), found(txn, 9)
    assert len(set(read)) < 60
    assert sizes[part(0, 1, 0)[:9]] == expected[part(0, 1, 0)[:9]]
    assert sizes[part(2, 1, 0)[:9]] == expected[part(2, 1, 0)[:9]]
    middle = part(1, 5, 0)[:9]
    assert sizes[middle] == pytest.approx(expected[middle], rel=0.1)


def test_large_values_are_not_read(environment: Environment) -> None:
    """Counted by the pages of the file that come into memory."""
    pagecache = pytest.importorskip("bench.pagecache", exc_type=ImportError)
    with environment.write() as txn:
        for index in range(60):
            txn.put("segments", part(1, 3, index), bytes(1 << 20))
    path = environment.path
    pagecache.sync(path)
    with environment.read() as txn:
        txn.sizes("segments", 9)  # what is read once
        try:
            pagecache.drop(path)
        except RuntimeError:
            pytest.skip("pages cannot be dropped here")
        sizes = txn.sizes("segments", 9)
        resident = len(pagecache.resident(path))
    assert sizes[part(1, 3, 0)[:9]].values == 60 << 20
    assert resident < 64


@pytest.mark.parametrize("offset", [0, 10, 12, 16, 17, 60])
def test_pages_that_lead_elsewhere_are_refused(environment: Environment, offset: int) -> None:
    """A damaged page must not lead outside the file."""
    with environment.write() as txn:
        for index in range(500):
            txn.put("segments", part(1, 3, index), bytes(20))
    with environment.read() as txn:
        page_size, last = txn._file.map.pages()
        tree = tree_sizes.Tree(txn._txn, "segments", page_size, last)
        whole = ctypes.string_at(tree._begin, (last + 1) * page_size)
        copy = ctypes.create_string_buffer(whole, len(whole))
        tree._begin = ctypes.addressof(copy)
        assert tree.sizes(9)
        rng = random.Random(offset)
        for _ in range(300):
            at = rng.randrange(2, last + 1) * page_size + offset + rng.randrange(4)
            old = copy[at]
            copy[at] = rng.randrange(256)
            with contextlib.suppress(CorruptionError):
                tree.sizes(9)
            copy[at] = old
