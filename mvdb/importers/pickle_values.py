"""Pickles read as data. Nothing is imported, called or instantiated, whatever the bytes say: a
class or function is a `Name`, its call a `Made` with the arguments. `pickle.load` is used nowhere.

Understood are the operations that protocols 2 to 5 write for plain values (numbers, text, bytes,
lists, tuples, sets, dicts) and for objects. Source of the operations: the module `pickletools` of
the standard library. Memory stays proportional to the bytes, because every operation makes at most
one object, of a size that its bytes contain.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAX_BYTES = 1 << 26
"""Of a pickle: 64 MiB, twice a document of a thousand vectors of 4,096 dimensions."""
_KEYS = (str, int, float, bytes, type(None))


class UnreadablePickle(ValueError):
    """Bytes that are no pickle, or one with operations beyond plain values and objects."""


@dataclass(frozen=True)
class Name:
    """A class or function, by name alone."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """What a call of `maker` would have made: its arguments and the state given to it."""

    maker: object
    arguments: object
    state: object = None
    items: list[object] = field(default_factory=list)


@dataclass(frozen=True)
class Persistent:
    """A reference to a thing outside the pickle."""

    id: object


class _Mark:
    """Begins a group on the stack."""


def read(raw: bytes, most: int = MAX_BYTES) -> Any:
    """The value of a pickle of at most `most` bytes.

    Raises UnreadablePickle."""
    if len(raw) > most:
        raise UnreadablePickle(f"a pickle of {len(raw):,} bytes; at most {most:,} are read")
    try:
        return _Reader(raw).value()
    except UnreadablePickle:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise UnreadablePickle(f"malformed pickle ({type(error).__name__}: {error})") from None


class _Reader:
    """A stack machine over the bytes of one pickle."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def value(self) -> Any:
        """Runs to the operation STOP."""
        while True:
            code = self._raw[self._at]
            self._at += 1
            if code == _STOP:
                return self._stack.pop()
            if code == _FLOAT:
                self._floats()
                continue
            operation = _OPERATIONS.get(code)
            if operation is None:
                place = self._at - 1
                raise UnreadablePickle(f"operation {bytes([code])!r} at byte {place} is not read")
            operation(self)

    # ---- bytes ----

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._raw):
            raise UnreadablePickle(f"cut off at byte {len(self._raw)}")
        piece = self._raw[self._at : end]
        self._at = end
        return piece

    def number(self, layout: str) -> int:
        """An integer in a layout of `struct`."""
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(value)

    def line(self) -> str:
        end = self._raw.index(b"\n", self._at)
        text = self._raw[self._at : end].decode("utf-8")
        self._at = end + 1
        return text

    def _floats(self) -> None:
        """A run of floats, 9 bytes each: vectors consist of such runs."""
        if self._raw[self._at + 8 : self._at + 9] != b"G":
            self.push(struct.unpack(">d", self.take(8))[0])
            return
        rest = np.frombuffer(self._raw, np.uint8, offset=self._at - 1)
        rows = rest[: len(rest) // 9 * 9].reshape(-1, 9)
        others = np.flatnonzero(rows[:_RUN, 0] != _FLOAT)
        length = int(others[0]) if len(others) else min(len(rows), _RUN)
        values = np.ascontiguousarray(rows[:length, 1:]).view(">f8").ravel()
        self._stack += values.tolist()
        self._at += 9 * length - 1

    # ---- stack ----

    def push(self, value: object) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _Mark:
            raise UnreadablePickle("malformed pickle (a group without end)")
        return value

    def top(self) -> Any:
        return self._stack[-1]

    def group(self) -> list[Any]:
        """The values since the last mark."""
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _Mark:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise UnreadablePickle("malformed pickle (the end of a group that never began)")

    def tuple_of(self, count: int) -> None:
        values = tuple(self.pop() for _ in range(count))
        self.push(values[::-1])

    # ---- operations with several steps ----

    def remember(self, number: int) -> None:
        self._memo[number] = self.top()

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, number: int) -> None:
        self.push(self._memo[number])

    def extend(self, values: list[Any]) -> None:
        """Appends to the list, or to the thing that a call made, on top of the stack."""
        target = self.top()
        (target.items if isinstance(target, Made) else _checked(target, list)).extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.top()
        keys, entries = values[::2], values[1::2]
        if isinstance(target, Made):
            target.items.extend(zip(keys, entries, strict=True))
            return
        if not all(isinstance(key, _KEYS) for key in keys):
            raise UnreadablePickle("a dict with keys other than text, numbers and bytes")
        _checked(target, dict).update(zip(keys, entries, strict=True))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.push(Name(_checked(module, str), _checked(name, str)))

    def reduce(self) -> None:
        arguments = self.pop()
        self.push(Made(self.pop(), arguments))

    def new_object_ex(self) -> None:
        named, arguments = self.pop(), self.pop()
        self.push(Made(self.pop(), (arguments, named)))

    def build(self) -> None:
        state = self.pop()
        _checked(self.top(), Made).state = state


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise UnreadablePickle(f"malformed pickle ({type(value).__name__} for {kind.__name__})")
    return value


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


_STOP, _FLOAT = ord("."), ord("G")
_RUN = 4096
"""Floats that are looked at together."""
_OPERATIONS: dict[int, Callable[[_Reader], object]] = {
    0x80: lambda r: r.take(1),  # PROTO
    0x95: lambda r: r.take(8),  # FRAME
    ord("("): lambda r: r.push(_Mark),
    ord("0"): lambda r: r.pop(),
    ord("N"): lambda r: r.push(None),
    0x88: lambda r: r.push(True),
    0x89: lambda r: r.push(False),
    ord("J"): lambda r: r.push(r.number("<i")),
    ord("K"): lambda r: r.push(r.number("<B")),
    ord("M"): lambda r: r.push(r.number("<H")),
    0x8A: lambda r: r.push(_integer(r.take(r.number("<B")))),  # LONG1
    0x8C: lambda r: r.push(r.take(r.number("<B")).decode("utf-8", "surrogatepass")),
    ord("X"): lambda r: r.push(r.take(r.number("<I")).decode("utf-8", "surrogatepass")),
    0x8D: lambda r: r.push(r.take(r.number("<Q")).decode("utf-8", "surrogatepass")),
    ord("C"): lambda r: r.push(r.take(r.number("<B"))),
    ord("B"): lambda r: r.push(r.take(r.number("<I"))),
    0x8E: lambda r: r.push(r.take(r.number("<Q"))),
    ord("]"): lambda r: r.push([]),
    ord("a"): lambda r: r.extend([r.pop()]),
    ord("e"): lambda r: r.extend(r.group()),
    ord(")"): lambda r: r.push(()),
    ord("t"): lambda r: r.push(tuple(r.group())),
    0x85: lambda r: r.tuple_of(1),
    0x86: lambda r: r.tuple_of(2),
    0x87: lambda r: r.tuple_of(3),
    ord("}"): lambda r: r.push({}),
    ord("s"): lambda r: r.set_items([r.pop(), r.pop()][::-1]),
    ord("u"): lambda r: r.set_items(r.group()),
    0x8F: lambda r: r.push([]),  # EMPTY_SET: a list, because members may be unhashable here
    0x90: lambda r: r.extend(r.group()),  # ADDITEMS
    0x91: lambda r: r.push(r.group()),  # FROZENSET
    ord("q"): lambda r: r.remember(r.number("<B")),
    ord("r"): lambda r: r.remember(r.number("<I")),
    0x94: lambda r: r.memoize(),
    ord("h"): lambda r: r.recall(r.number("<B")),
    ord("j"): lambda r: r.recall(r.number("<I")),
    ord("c"): lambda r: r.push(Name(r.line(), r.line())),
    0x93: lambda r: r.stack_global(),
    ord("R"): lambda r: r.reduce(),
    0x81: lambda r: r.reduce(),  # NEWOBJ
    0x92: lambda r: r.new_object_ex(),
    ord("b"): lambda r: r.build(),
    ord("Q"): lambda r: r.push(Persistent(r.pop())),
}
