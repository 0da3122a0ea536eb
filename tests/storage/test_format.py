from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.errors import CorruptionError
from mvdb.storage import format as layout
from mvdb.storage.format import Kind, Reader, Writer

FIELDS = {
    "u8": st.integers(0, 2**8 - 1),
    "u16": st.integers(0, 2**16 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "u64": st.integers(0, 2**64 - 1),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "f32": st.floats(width=32, allow_nan=False),
    "f64": st.floats(allow_nan=False),
    "blob": st.binary(max_size=50),
    "text": st.text(max_size=20),
}


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
    }


@given(
    st.lists(
        st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name]))
    )
)
def test_what_is_written_is_read(values: list[tuple[str, object]]) -> None:
    writer = Writer()
    for name, value in values:
        getattr(writer, name)(value)
    data = writer.getvalue()
    assert len(writer) == len(data)
    reader = Reader(data, "here")
    for name, value in values:
        read = getattr(reader, name)()
        assert (bytes(read) if name == "blob" else read) == value
    assert reader.position == len(data)
    reader.end()


@given(st.binary(max_size=30), st.lists(st.sampled_from(sorted(FIELDS)), max_size=8))
def test_no_input_makes_a_reader_fail_otherwise(data: bytes, names: list[str]) -> None:
    reader = Reader(data, "here")
    with contextlib.suppress(CorruptionError):
        for name in names:
            getattr(reader, name)()
        reader.end()
        assert reader.position == len(data)


def test_little_endian() -> None:
    data = Writer().u16(1).u32(2).u64(3).i64(-1).f32(1.5).f64(2.5).getvalue()
    assert data == struct.pack("<HIQqfd", 1, 2, 3, -1, 1.5, 2.5)


def test_a_length_from_the_file_is_not_trusted() -> None:
    reader = Reader(b"\xff\xff\xff\xffabc", "segments/1")
    with pytest.raises(CorruptionError, match=r"segments/1: 4294967295 bytes expected at offset 4"):
        reader.blob()
    with pytest.raises(CorruptionError):
        Reader(b"abc", "x").bytes(-1)


def test_leftovers_are_refused() -> None:
    reader = Reader(b"ab", "x")
    reader.u8()
    assert reader.remaining == 1
    with pytest.raises(CorruptionError, match="1 unexpected bytes after offset 1"):
        reader.end()


def test_text_must_be_utf8() -> None:
    with pytest.raises(CorruptionError, match="not UTF-8"):
        Reader(Writer().blob(b"\xff").getvalue(), "x").text()


@pytest.mark.parametrize(
    ("name", "value"), [("u8", 256), ("u16", -1), ("u64", 2**64), ("f32", 1e300)]
)
def test_a_value_that_does_not_fit_is_the_callers_fault(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        getattr(Writer(), name)(value)


def test_views_are_not_copies() -> None:
    data = bytearray(b"abcd")
    view = Reader(data, "x").bytes(4)
    data[0] = ord("z")
    assert bytes(view) == b"zbcd"
