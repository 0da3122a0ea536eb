from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.errors import CorruptionError
from mvdb.storage import format as layout
from mvdb.storage.format import Kind, Record, pack_arrays, unpack_arrays


def test_frozen_constants_are_what_files_hold() -> None:
    assert layout.FORMAT_VERSION == 1
    assert layout.MAGIC == b"mvdb\x00\x1a\r\n"
    assert layout.TABLES == ("meta", "centroids", "ids", "segments", "tombstones")
    assert layout.ENVELOPE_HEADER.size == 16
    assert {kind.name: int(kind) for kind in Kind} == {
        "META": 1,
        "MANIFEST": 2,
        "CENTROIDS": 3,
        "ID": 4,
        "DIRECTORY": 5,
        "CODES": 6,
        "RECORDS": 7,
        "IDS": 8,
        "DOCUMENTS": 9,
        "FIELDS": 10,
        "TOMBSTONES": 11,
        "LIST_DIRECTORY": 12,
        "LISTS": 13,
        "ORDER": 14,
        "WORD_DIRECTORY": 15,
        "WORDS": 16,
        "WEIGHT_DIRECTORY": 17,
        "WEIGHTS": 18,
        "TENANT": 19,
    }


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**8 - 1),
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
            st.floats(allow_nan=False),
            st.binary(min_size=8, max_size=8),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(rows: list[tuple[object, ...]]) -> None:
    record = Record("BHIQd8s")
    data = record.pack_all(rows)
    assert len(data) == 31 * len(rows)
    assert record.unpack_all(data, "here", len(rows)) == rows
    for at, row in enumerate(rows):
        head, rest = record.unpack_head(data[31 * at :], "here")
        assert head == row
        assert rest == data[31 * at + 31 :]
    if len(rows) == 1:
        assert record.unpack(data, "here") == rows[0]


@given(st.binary(max_size=30))
def test_no_input_makes_reading_fail_otherwise(data: bytes) -> None:
    record = Record("IQ")
    for read in (record.unpack, record.unpack_head, record.unpack_all):
        with contextlib.suppress(CorruptionError):
            read(data, "here")
    with contextlib.suppress(CorruptionError):
        unpack_arrays(data, "here", ("<u8", 1), ("<u4", 2))


def test_little_endian_without_gaps() -> None:
    data = Record("BQIdH").pack(1, 2, 3, 2.5, 4)
    assert data.hex() == "0102000000000000000300000000000000000004400400"


def test_arrays_follow_each_other() -> None:
    numbers, starts = np.array([5, 6], np.uint64), np.array([0, 1, 2], np.int64)
    data = pack_arrays(("<u8", numbers), ("<u4", starts))
    assert data.hex() == "05000000000000000600000000000000000000000100000002000000"
    first, second = unpack_arrays(data, "here", ("<u8", 2), ("<u4", 3))
    assert first.tolist() == [5, 6]
    assert second.tolist() == [0, 1, 2]
    assert (first.dtype, second.dtype) == (np.uint64, np.uint32)


@pytest.mark.parametrize("size", [0, 11, 13, 24])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(CorruptionError, match=rf"segments/1: {size} bytes where 12 are expected"):
        Record("IQ").unpack(bytes(size), "segments/1")
    with pytest.raises(CorruptionError, match="where 12 are expected"):
        unpack_arrays(bytes(size), "x", ("<u4", 3))


def test_a_count_from_the_file_is_not_trusted() -> None:
    with pytest.raises(CorruptionError, match="24 bytes where 3 records of 12"):
        Record("IQ").unpack_all(bytes(24), "x", 3)
    with pytest.raises(CorruptionError, match=f"12 bytes where {2**32 * 4} are expected"):
        unpack_arrays(bytes(12), "x", ("<u4", 2**32))
    with pytest.raises(CorruptionError, match="25 bytes"):
        Record("IQ").unpack_all(bytes(25), "x")


@pytest.mark.parametrize(("code", "value"), [("B", 256), ("H", -1), ("Q", 2**64), ("I", 1.5)])
def test_a_value_that_does_not_fit_is_the_callers_fault(code: str, value: float) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Record(code).pack(value)


def test_arrays_are_copies_and_the_rest_is_not() -> None:
    data = bytearray(b"abcdefgh")
    (array,) = unpack_arrays(data, "x", ("<u4", 2))
    _, rest = Record("I").unpack_head(data, "x")
    data[:] = b"zzzzzzzz"
    assert array.tobytes() == b"abcdefgh"
    assert bytes(rest) == b"zzzz"
