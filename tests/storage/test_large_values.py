"""Values of many pages are asked for at once before they are read, where they are in the file."""

from __future__ import annotations

import sys

import pytest

from mvdb.storage.environment import Environment
from mvdb.storage.lmdb import overflow_values
from mvdb.storage.read_ahead import address_of

LARGE, SMALL = bytes(range(250)) * 2_000, b"small"

Ranges = list[tuple[int, int]]


@pytest.fixture
def asked(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Ranges:
    """Addresses and sizes that the system was asked for, since two values were stored."""
    if sys.byteorder != "little":
        pytest.skip("values are found in memory on little-endian machines")
    with environment.write() as txn:
        txn.put("ids", b"large", LARGE)
        txn.put("ids", b"other", LARGE[::-1])
        txn.put("ids", b"small", SMALL)
    ranges: Ranges = []
    monkeypatch.setattr(overflow_values, "will_read", lambda *range: ranges.append(range))
    return ranges


def covers(asked: Ranges, value: memoryview) -> bool:
    """Whether one range is that of a value, and no longer but for its header."""
    begin, size = address_of(value), len(value)
    return any(0 <= begin - at <= 64 and at + length == begin + size for at, length in asked)


def test_a_large_value_is_asked_for_whole(environment: Environment, asked: Ranges) -> None:
    with environment.read() as txn:
        value = txn.whole("ids", b"large")
        assert value is not None
        assert value == LARGE
        assert covers(asked, value)
        assert len(asked) == 1


def test_nothing_is_asked_for_what_is_small_or_missing(
    environment: Environment, asked: Ranges
) -> None:
    with environment.read() as txn:
        assert txn.whole("ids", b"small") == SMALL
        assert txn.whole("ids", b"none") is None
        assert txn.get("ids", b"large") == LARGE
    assert asked == []


def test_of_several_values_the_one_that_is_read(environment: Environment, asked: Ranges) -> None:
    with environment.read() as txn:
        first, second = txn.values("ids", [b"large", b"other"])
        assert first is not None
        assert first == LARGE
        assert second == LARGE[::-1]
        assert covers(asked, first)
        assert len(asked) == 1


def test_what_a_transaction_wrote_itself_is_in_no_file(
    environment: Environment, asked: Ranges
) -> None:
    with environment.write() as txn:
        txn.put("ids", b"new", LARGE)
        assert txn.whole("ids", b"new") == LARGE
        assert txn.whole("ids", b"other") == LARGE[::-1]
    assert asked == []
