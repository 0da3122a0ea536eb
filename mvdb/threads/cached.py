"""Values of an object that are made at their first use.

`functools.cached_property` has a lock up to Python 3.11, one for all objects of a class. A thread
that an exception (Ctrl-C) takes out of it between two bytecodes, and a fork at the wrong moment,
leave it locked, and every other thread waits for ever. Without a lock two threads may make the same
value; the last one stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class cached(Generic[Value]):
    """A decorator of a method without arguments, which becomes an attribute. REQUIRES: the value
    depends on nothing that changes."""

    def __init__(self, make: Callable[[Any], Value]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, type: type | None = None) -> cached[Value]: ...
    @overload
    def __get__(self, owner: object, type: type | None = None) -> Value: ...
    def __get__(self, owner: object | None, type: type | None = None) -> Value | cached[Value]:
        if owner is None:
            return self
        # The attribute of the object is found before this one from now on.
        value = self._make(owner)
        owner.__dict__[self._name] = value
        return value
