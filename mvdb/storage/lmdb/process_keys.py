"""Lets a forked child open a file that its parent has open.

py-lmdb refuses a file "already open in this process" and takes the parent's for the child's. Its
list is keyed by a function that can be wrapped, so that the keys of a child differ. If a later
py-lmdb has none, reopening in a child raises `BusyError`; nothing worse.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

try:
    from lmdb import _envid
except ImportError:
    _envid = None  # type: ignore[assignment]

_ours: Callable[..., tuple[Any, ...]] | None = None


def tell_processes_apart() -> None:
    """In a child, after ``fork``; its own children need no other wrapping."""
    global _ours
    original: Callable[..., tuple[Any, ...]] | None = getattr(_envid, "env_keys", None)
    if original is None or original is _ours:
        return

    def env_keys(path: Any, subdir: Any) -> tuple[Any, ...]:
        return tuple((os.getpid(), key) for key in original(path, subdir))

    _ours = _envid.env_keys = env_keys
