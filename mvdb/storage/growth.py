"""Makes the map larger, when this process writes much or another one has.

The map is address space, not memory. Moving it invalidates every view, so it waits until no
transaction of this process is open. On POSIX systems so much is reserved at opening that it hardly
ever happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import lmdb

from mvdb.errors import StorageFullError
from mvdb.storage.opening import has_address_space, next_map_size

if TYPE_CHECKING:
    from mvdb.storage.shared import SharedEnvironment

_DRAIN_SECONDS: Final = 5.0
_SLACK: Final = 16 << 20
"""Space wanted beyond what a writer asks for: copied tree pages and the free list."""


def has_room(shared: SharedEnvironment, size: int) -> bool:
    """Whether about ``size`` bytes fit into the map. Free pages within the file are not counted
    on."""
    used, mapped = _used_and_mapped(shared)
    return _needed(used, size) <= mapped


def make_room(shared: SharedEnvironment, size: int) -> Any:
    """Grow the map for ``size`` bytes; a new write transaction, in place of one rolled back before.

    Raises `BusyError` if other transactions of this process stay open, `StorageFullError`.
    """
    with shared.gate.shut(own=1, seconds=_DRAIN_SECONDS):
        used, _ = _used_and_mapped(shared)
        _resize(shared, _needed(used, size))
    try:
        return shared.environment.begin(write=True, buffers=True)
    except lmdb.Error as error:
        raise shared.failed_write(error, "beginning a transaction") from error


def adopt(shared: SharedEnvironment) -> None:
    """Another process has grown the file beyond our map: grow it, too. Same errors."""
    with shared.gate.shut(own=0, seconds=_DRAIN_SECONDS):
        used, mapped = _used_and_mapped(shared)
        if used > mapped:  # else another thread was quicker
            # Not to that process's size: it may have far more address space than this one.
            _resize(shared, used + _SLACK)


def _needed(used: int, size: int) -> int:
    return used + size + size // 4 + _SLACK


def _used_and_mapped(shared: SharedEnvironment) -> tuple[int, int]:
    info = shared.environment.info()
    return (info["last_pgno"] + 1) * shared.environment.stat()["psize"], info["map_size"]


def _resize(shared: SharedEnvironment, needed: int) -> None:
    mapped = shared.environment.info()["map_size"]
    size = next_map_size(mapped, needed)
    # liblmdb unmaps first: when the new mapping then fails, the environment is lost.
    if not has_address_space(size - mapped + _SLACK):
        raise StorageFullError(
            f"{shared.path}: no address space for a map of {size} bytes (ulimit -v)"
        )
    shared.environment.set_mapsize(size)
    shared.epoch += 1
