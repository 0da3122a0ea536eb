"""Pickles are read as data: plain values as `pickle` reads them, everything else by name alone."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.importers.pickle_values import Made, Name, UnreadablePickle, read

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=30,
)


@given(VALUES, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_are_read_as_pickle_does(value: Any, protocol: int) -> None:
    if protocol == 2:
        value = _without_bytes(value)  # written as a call there
    found = read(pickle.dumps(value, protocol=protocol))
    assert repr(found) == repr(value)  # not ==: NaN is not equal to itself


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return type(value)(map(_without_bytes, value))
    if isinstance(value, dict):
        return {key: _without_bytes(one) for key, one in value.items()}
    return value


def test_long_vectors() -> None:
    rng = np.random.default_rng(1)
    for length in (0, 1, 2, 999, 1000, 1001, 4095, 4096, 4097, 20_000):
        value = {"v": rng.standard_normal((2, length)).tolist(), "after": [1.5, None, 2.5]}
        assert read(pickle.dumps(value)) == value


class Evil:
    """Runs a command when it is unpickled by pickle itself."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> Any:
        return os.system, (self._command,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_is_called(protocol: int, tmp_path: Path) -> None:
    raw = pickle.dumps(Evil(f"touch {tmp_path / 'ran'}"), protocol=protocol)
    found = read(raw)
    assert isinstance(found, Made)
    assert found.maker == Name(os.system.__module__, "system")
    assert not (tmp_path / "ran").exists()
    pickle.loads(raw)
    assert (tmp_path / "ran").exists()  # the pickle is one that would have


@given(VALUES, st.data())
def test_cut_or_changed_pickles_are_refused_or_read(value: Any, data: Any) -> None:
    raw = bytearray(pickle.dumps(value))
    at = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(UnreadablePickle):
        read(bytes(raw[: len(raw) - 1]))
    raw[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadablePickle):
        read(bytes(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    with contextlib.suppress(UnreadablePickle):
        read(raw)
