"""Makes the map larger, when this process writes much or another one has.

The map is address space, not memory. Moving it invalidates every view, so it waits until no
transaction of this process is open. That may take long, so room is made long before it is needed,
at a moment when nobody is inside: a write transaction begins with more room than any of sane size
fills, if there is address space for it. Where there is not, one that fills the map is rolled back,
and repeated by its owner after `enlarge`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from mvdb.errors import BusyError, StorageFullError
from mvdb.storage.opening import has_address_space, reservation

if TYPE_CHECKING:
    from mvdb.storage.shared import SharedEnvironment

_DRAIN_SECONDS: Final = 5.0
_SLACK: Final = 16 << 20
"""Space wanted beyond what is used: copied tree pages and the free list."""
_LEAST: Final = 64 << 20
"""With less room than this a transaction waits a little for readers, in order to grow the map."""
_LEAST_SECONDS: Final = 0.2
_ROOMY: Final = 8 << 30
"""More than a transaction of sane size writes."""


def prepare(shared: SharedEnvironment) -> None:
    """Before a write transaction begins, by the writer: grow the map if it gets tight, and this is
    possible without waiting for long."""
    used, mapped = _used_and_mapped(shared)
    wanted = reservation(used, shared.map_size)
    tight = mapped - used < _LEAST
    if (mapped >= wanted // 2 and not tight) or used < shared.next_growth:
        return
    shared.next_growth = used + min(_LEAST, (mapped - used) // 2)
    seconds = _LEAST_SECONDS if tight else 0.0
    least = used + _SLACK
    with contextlib.suppress(BusyError, StorageFullError), shared.gate.shut(own=0, seconds=seconds):
        _resize(shared, least, max(wanted, used + 2 * _LEAST))


def is_roomy(shared: SharedEnvironment) -> bool:
    """Whether no transaction of sane size can fill the map."""
    used, mapped = _used_and_mapped(shared)
    return mapped - used >= _ROOMY


def enlarge(shared: SharedEnvironment) -> None:
    """Grow the map for a write transaction that has filled it and was rolled back, but counts as
    inside. Raises `BusyError` if other transactions of this process stay open,
    `StorageFullError`."""
    with shared.gate.shut(own=1, seconds=_DRAIN_SECONDS):
        used, mapped = _used_and_mapped(shared)
        _resize(shared, mapped + max(mapped - used, _SLACK), reservation(mapped, shared.map_size))


def adopt(shared: SharedEnvironment) -> None:
    """Another process has grown the file beyond our map: grow it, too. Same errors."""
    with shared.gate.shut(own=0, seconds=_DRAIN_SECONDS):
        used, mapped = _used_and_mapped(shared)
        if used > mapped:  # else another thread was quicker
            # Not to that process's size: it may have far more address space than this one.
            _resize(shared, used + _SLACK, reservation(used, shared.map_size))


def _used_and_mapped(shared: SharedEnvironment) -> tuple[int, int]:
    info = shared.environment.info()
    return (info["last_pgno"] + 1) * shared.environment.stat()["psize"], info["map_size"]


def _resize(shared: SharedEnvironment, least: int, wanted: int) -> None:
    """Map ``wanted`` bytes, or as many as there is address space for, but at least ``least``."""
    mapped = shared.environment.info()["map_size"]
    size = max(wanted, least, mapped)
    # liblmdb unmaps first: when the new mapping then fails, the environment is lost.
    while size > least and not has_address_space(size - mapped + _SLACK):
        size = max(size // 2, least)
    if size <= mapped or not has_address_space(size - mapped + _SLACK):
        raise StorageFullError(
            f"{shared.path}: no address space for a map of {least} bytes (ulimit -v)"
        )
    shared.environment.set_mapsize(size)
    shared.epoch += 1
