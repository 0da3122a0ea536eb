"""A file that liblmdb has open: the objects that live from its opening to its closing."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
from collections.abc import Mapping
from typing import Any

from mvdb.storage.cleanmark import SessionMark
from mvdb.storage.growth import GrowingMap
from mvdb.storage.opening import Mode


@dataclasses.dataclass(slots=True, eq=False)
class OpenFile:
    """``environment`` is py-lmdb's, ``tables`` its handles. `close` requires that no transaction
    is open."""

    path: str
    environment: Any
    tables: Mapping[str, Any]
    mode: Mode
    map: GrowingMap
    closing: contextlib.ExitStack
    mark: SessionMark = dataclasses.field(default_factory=SessionMark)

    def close(self) -> None:
        """Close the environment, then the lock between writers, then give the claim back."""
        self.closing.close()

    def leave_to_parent(self) -> None:
        """In a forked child: py-lmdb's object is never to be deallocated, since that would close
        the parent's environment, whose reader slots and mutexes are in shared memory."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.environment))
