"""Arguments that are wrong in every way, made anew for each call."""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.corrupt.specimens import DIM


class Own(Exception):
    """What the caller's own objects raise."""


class Raises:
    """Raises `Own` whatever it is asked."""

    def _raise(self, *arguments: Any, **options: Any) -> Any:
        raise Own

    __array__ = __bool__ = __call__ = __contains__ = __eq__ = __float__ = __fspath__ = _raise
    __getitem__ = __hash__ = __index__ = __int__ = __iter__ = __len__ = __lt__ = __next__ = _raise
    __repr__ = __str__ = __dlpack__ = __arrow_c_stream__ = __enter__ = __exit__ = _raise  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise Own


class Lies:
    """Answers, but not with what is asked for."""

    ndim = 2
    shape = (-1, "x")
    dtype = "bfloat16"
    num_rows = "many"

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return "no array"

    def __dlpack__(self, **options: Any) -> Any:
        return "no capsule"

    def __dlpack_device__(self) -> Any:
        return "no device"

    def __arrow_c_stream__(self, requested: Any = None) -> Any:
        return "no capsule"

    def __fspath__(self) -> Any:
        return 5

    def __len__(self) -> int:
        return -1

    def __iter__(self) -> Any:
        return 5

    def __index__(self) -> Any:
        return "no index"

    def __float__(self) -> Any:
        return "no number"

    def detach(self) -> Any:
        return None

    def cpu(self) -> Any:
        return None


class Text(str):
    """A str of the caller's."""


class Number(int):
    """An int of the caller's."""


def _nested(depth: int, make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


def _itself_list() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def _itself_dict() -> Any:
    value: dict[str, Any] = {}
    value["$and"] = [value]
    return value


def _endless() -> Iterator[int]:
    yield 1
    raise Own


BAD: dict[str, Callable[[], Any]] = {
    **{
        repr(value)[:40]: lambda value=value: value
        for value in (
            *(None, True, False, 0, -1, 1, 7, 2**63, 2**64, 2**80, -(2**80)),
            *(0.5, -0.5, float("nan"), float("inf"), -float("inf"), 1e300, 1j, 1e-320),
            *("", "x", "\0", "a\0b", "\ud800", "\udc80", "x" * 100_000, ":memory:", "/", "a\nb"),
            *(b"", b"x", b"\xff", b"\0", bytearray(b"x"), memoryview(b"x")),
            *((), (1,), (1, 2), (None, None), ("a", "b", "c", "d", "e", "f")),
            *(range(0), range(3), range(2**70), range(10**13), Ellipsis, NotImplemented),
            *(np.int64(-1), np.uint64(2**64 - 1), np.float16("nan"), np.float32("inf")),
            *(np.longdouble(1), np.bool_(True), np.str_("\ud800"), np.bytes_(b"\xff")),
            *(np.datetime64("now"), np.timedelta64(1), np.complex64(1)),
            *(decimal.Decimal("NaN"), decimal.Decimal("1e999999"), fractions.Fraction(1, 3)),
            *(datetime.datetime(2020, 1, 1), datetime.timedelta(1)),
            *(Text("x"), Text("\ud800"), Number(2**70), int, object, Own, print),
        )
    },
    "an integer of 5,001 digits": lambda: 10**5000,
    "list": list,
    "lists": lambda: [[], [[]], [None]],
    "list of wrong": lambda: [None, 1.5, "\ud800", b"x", {}],
    "list of huge": lambda: [2**80, 10**5000, "x" * 1000],
    "deep list": lambda: _nested(20_000, lambda value: [value]),
    "deep tuple": lambda: _nested(20_000, lambda value: (value,)),
    "deep dict": lambda: _nested(20_000, lambda value: {"a": value}),
    "deep list of dict": lambda: [_nested(20_000, lambda value: {"a": [value]})],
    "deep filter": lambda: _nested(20_000, lambda value: {"$not": value}),
    "deep filter of and": lambda: _nested(20_000, lambda value: {"$and": [value, value]}),
    "list in itself": _itself_list,
    "dict in itself": _itself_dict,
    "list of dict in itself": lambda: [_itself_dict()],
    "dict": dict,
    "dict of wrong keys": lambda: {1: 2, None: 3, ("a",): 4},
    "dict of surrogates": lambda: {"\ud800": "\udc80"},
    "dict of NaN": lambda: {"n": float("nan"), "m": [float("inf")]},
    "dict of digits": lambda: {"n": 10**5000},
    "dict of object": lambda: {"n": object(), "o": {1, 2}},
    "wrong operators": lambda: {"$and": 5, "$or": {}, "$no": [], "n": {"$in": 5, "$lt": {}}},
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset([1]),
    "iterator": lambda: iter([1, 2]),
    "zip": lambda: zip([1], [2], strict=True),
    "raising iterator": _endless,
    "raising": Raises,
    "list of raising": lambda: [Raises()],
    "tuple of raising": lambda: (Raises(), Raises()),
    "dict of raising": lambda: {"n": Raises()},
    "lying": Lies,
    "list of lying": lambda: [Lies()],
    "object": object,
    "list of object": lambda: [object()],
    "array of nothing": lambda: np.empty((0, DIM), np.float32),
    "array of no columns": lambda: np.empty((2, 0), np.float32),
    "array of no dimension": lambda: np.array(1.5),
    "array of 30 dimensions": lambda: np.zeros((1,) * 30, np.float32),
    "array of NaN": lambda: np.full((2, DIM), np.nan, np.float32),
    "array of infinities": lambda: np.full((2, DIM), np.inf),
    "array of the tiniest": lambda: np.full((2, DIM), 5e-324),
    "array of the greatest": lambda: np.full((2, DIM), 1.7e308),
    "array of another dim": lambda: np.ones((2, DIM + 1), np.float32),
    "array of objects": lambda: np.array([None, Own], object),
    "array of texts": lambda: np.array(["a", "\ud800"]),
    "array of records": lambda: np.zeros(3, [("a", "f4")]),
    "array of times": lambda: np.array(["2020-01-01"], "M8[D]"),
    "array of int": lambda: np.ones((2, DIM), np.int64),
    "array that is huge": lambda: np.broadcast_to(np.float32(1), (2**40, DIM)),
    "array that is huge and flat": lambda: np.broadcast_to(np.int64(1), (2**40,)),
    "array of another order": lambda: np.ones((2, DIM), ">f4"),
    "masked array": lambda: np.ma.masked_all((2, DIM), np.float32),
    "pair of wrong": lambda: (np.ones((2, DIM), np.float32), [2**70]),
    "pair of negative": lambda: (np.ones((2, DIM), np.float32), [-(2**63), 3]),
    "pair of huge": lambda: (np.ones((2, DIM), np.float32), range(2**70)),
}
