"""What metadata is accepted, and that what is written is read back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.documents.metadata import MAX_DEPTH, MAX_INT_BITS, dumps, loads, validate_metadata
from mvdb.errors import CorruptionError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@given(OBJECTS)
def test_what_validates_comes_back(value: dict[str, Any]) -> None:
    validate_metadata(value)
    assert loads(dumps(value)) == value
    assert loads(memoryview(dumps(value))) == value


def test_numpy_scalars_are_stored_as_what_they_hold() -> None:
    """They were refused, though rows of data frames and arrays consist of them."""
    value = {
        np.str_("key"): np.int64(-3),
        "u": np.uint64(2**64 - 1),
        "f": [np.float32(0.5), np.float16(2), np.float64(1.25), (np.int8(1),)],
        "b": {"true": np.bool_(True), "false": np.bool_(False), "text": np.str_("ä")},
        "arrays": [np.array(7), np.array(0.25, np.float32), np.array("x"), np.array(True)],
    }
    validate_metadata(value)
    assert loads(dumps(value)) == {
        "key": -3,
        "u": 2**64 - 1,
        "f": [0.5, 2.0, 1.25, [1]],
        "b": {"true": True, "false": False, "text": "ä"},
        "arrays": [7, 0.25, "x", True],
    }
    assert type(loads(dumps({"b": np.bool_(True)}))["b"]) is bool


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([], TypeError, "metadata of 'x': expected a JSON object (dict), got list"),
        ({"a": b"x"}, TypeError, "metadata of 'x'.a: JSON has no bytes"),
        ({"a": [1, {"b": {1}}]}, TypeError, "metadata of 'x'.a[1].b: JSON has no set"),
        ({"a": {1: 2}}, TypeError, "metadata of 'x'.a: expected keys that are strings, got int"),
        ({"a": math.nan}, ValueError, "metadata of 'x'.a: JSON has no nan"),
        ({"a": [-math.inf]}, ValueError, "metadata of 'x'.a[0]: JSON has no -inf"),
        ({"a": "x\ud800"}, ValueError, "metadata of 'x'.a: a string with a lone surrogate"),
        ({"\udfff": 1}, ValueError, "metadata of 'x'.\\udfff: a string with a lone surrogate"),
        ({"a": 2**MAX_INT_BITS}, ValueError, "metadata of 'x'.a: an integer has at most"),
    ],
)
def test_refusals_name_the_path(value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        validate_metadata(value, "metadata of 'x'")
    assert str(caught.value).startswith(message)


def test_depth_and_shared_parts_are_bounded() -> None:
    validate_metadata(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested at most"):
        validate_metadata(nested(MAX_DEPTH + 1))
    cycle: dict[str, Any] = {}
    cycle["a"] = [cycle, cycle]
    with pytest.raises(ValueError, match="nested at most"):
        validate_metadata(cycle)
    laughs: list[Any] = []
    for _ in range(40):
        laughs = [laughs, laughs]
    with pytest.raises(ValueError, match="at most 1000000 values"):
        validate_metadata({"a": laughs})


def test_the_largest_integer_can_be_read_back() -> None:
    value = {"a": 2**MAX_INT_BITS - 1, "b": -(2**MAX_INT_BITS) + 1}
    validate_metadata(value)
    assert loads(dumps(value)) == value


def test_written_form() -> None:
    assert dumps({"b": ["é", 1.0, None], "a": True}) == '{"b":["é",1.0,null],"a":true}'.encode()
    for bad in ({"a": math.inf}, {"a": "\ud800"}):
        with pytest.raises(ValueError):
            dumps(bad)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"1", b"{", b'{"a":NaN}', b'{"a":-Infinity}', b"\xff", b'{"a":1}x',
        b'{"a":' + b"[" * 200_000, b'{"a":' + b"9" * 10_000 + b"}",
    ],
)  # fmt: skip
def test_damaged_bytes(data: bytes) -> None:
    with pytest.raises(CorruptionError):
        loads(data)
