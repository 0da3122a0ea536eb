from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage import envelope
from mvdb.storage.format import ENVELOPE_HEADER, Kind

WHERE = "ids/17"


@given(st.sampled_from(list(Kind)), st.binary(max_size=40), st.binary(max_size=200))
def test_round_trip(kind: Kind, key: bytes, body: bytes) -> None:
    value = envelope.seal(kind, key, body)
    assert len(value) == 16 + len(body)
    assert bytes(envelope.unseal(kind, key, value, WHERE)) == body
    assert bytes(envelope.peek(kind, key, value, WHERE)) == body


def test_every_flipped_bit_is_found() -> None:
    value = bytearray(envelope.seal(Kind.ID, b"key", b"some body"))
    for bit in range(len(value) * 8):
        value[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError, match=WHERE):
            envelope.unseal(Kind.ID, b"key", bytes(value), WHERE)
        value[bit // 8] ^= 1 << bit % 8


def test_of_records_the_header_is_proved_and_the_body_not() -> None:
    value = bytearray(envelope.seal(Kind.RECORDS, b"key", b"some body"))
    for bit in range(16 * 8):
        value[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError):
            envelope.peek(Kind.RECORDS, b"key", bytes(value), WHERE)
        value[bit // 8] ^= 1 << bit % 8
    value[-1] ^= 1
    assert bytes(envelope.unseal(Kind.RECORDS, b"key", bytes(value), WHERE)) == b"some bod" + bytes(
        [ord("y") ^ 1]
    )


@pytest.mark.parametrize("length", range(25))
def test_every_truncation_is_found(length: int) -> None:
    value = envelope.seal(Kind.ID, b"key", b"some body")
    for check in (envelope.unseal, envelope.peek):
        with pytest.raises(CorruptionError):
            check(Kind.ID, b"key", value[:length], WHERE)
        with pytest.raises(CorruptionError):
            check(Kind.ID, b"key", value + b"x", WHERE)


def test_a_value_under_another_key_or_of_another_kind_is_found() -> None:
    value = envelope.seal(Kind.ID, b"key", b"body")
    with pytest.raises(CorruptionError, match="checksum mismatch"):
        envelope.unseal(Kind.ID, b"kez", value, WHERE)
    with pytest.raises(CorruptionError, match="kind META expected, ID found"):
        envelope.unseal(Kind.META, b"key", value, WHERE)
    with pytest.raises(CorruptionError, match="kind META expected, ID found"):
        envelope.peek(Kind.META, b"key", value, WHERE)


def _sealed_with(version: int, kind: int, flags: int, body: bytes) -> bytes:
    head = ENVELOPE_HEADER.pack(version, kind, flags, len(body), 0)[:8]
    return head + envelope._hash(kind, b"key", head, body).to_bytes(8, "little") + body


def test_an_intact_envelope_of_the_future_is_called_newer() -> None:
    with pytest.raises(FormatError, match=r"version 2 .* reads version 1"):
        envelope.unseal(Kind.ID, b"key", _sealed_with(2, Kind.ID, 0, b"body"), WHERE)
    with pytest.raises(FormatError, match="flags 0x1"):
        envelope.unseal(Kind.ID, b"key", _sealed_with(1, Kind.ID, 1, b"body"), WHERE)
    with pytest.raises(CorruptionError, match="number 99 found"):
        envelope.unseal(Kind.ID, b"key", _sealed_with(1, 99, 0, b"body"), WHERE)


def test_format_is_frozen() -> None:
    # Written by format version 1; must stay readable for ever.
    value = bytes.fromhex("01040000040000000b6c7e95925807fa626f6479")
    assert envelope.seal(Kind.ID, b"key", b"body") == value


def test_too_large_a_body_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 1 << 32)  # sparse; refused by its length, before a byte of it is read
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body,
        memoryview(body) as view,
        pytest.raises(ValueError, match="over the limit"),
    ):
        envelope.seal(Kind.ID, b"key", view)
