"""The map of an open file, and its growth when this process writes much or another one has.

The map is address space, not memory. Moving it invalidates every view, so a move waits until no
transaction of this process is open. The wait may be long, so the map grows long before it is full,
at a moment without transactions: a write transaction begins with more room than one of usual size
fills, if there is address space for it. Otherwise a transaction that fills the map is rolled back,
and its owner replays it after `enlarge`.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Final

from mvdb.errors import BusyError, StorageFullError
from mvdb.limits import Limits
from mvdb.storage.drain import Drain
from mvdb.storage.opening import has_address_space, reservation

_TIGHT_SECONDS: Final = 0.2
"""How long a write transaction waits for readers when the map is tight."""

_epochs = itertools.count(1)


class GrowingMap:
    """The map of one py-lmdb environment. Its methods run in the writer, but for `adopt`, which may
    run in any thread that is not inside."""

    def __init__(
        self, path: str, environment: Any, drain: Drain, map_size: int | None, limits: Limits
    ) -> None:
        self._path = path
        self._environment = environment
        self._drain = drain
        self._map_size = map_size
        self._limits = limits
        self._next_attempt = 0
        """Used bytes below which no other attempt to grow is made."""
        self.epoch = next(_epochs)
        """Number of the map's present address: views of one epoch are void in the next."""

    def pages(self) -> tuple[int, int]:
        """Bytes of a page and the number of the last one."""
        return self._environment.stat()["psize"], self._environment.info()["last_pgno"]

    @property
    def mapped(self) -> int:
        """Bytes."""
        return int(self._environment.info()["map_size"])

    @property
    def used(self) -> int:
        """Bytes of all pages in use, by any process."""
        page_size, last_page = self.pages()
        return page_size * (last_page + 1)

    @property
    def is_roomy(self) -> bool:
        """Whether no transaction of usual size can fill the map."""
        return self.mapped - self.used >= self._limits.roomy_bytes

    def prepare(self) -> None:
        """Before a write transaction begins, whose thread counts as inside: grow the map if it gets
        tight, and this is possible without waiting for long."""
        used, mapped, limits = self.used, self.mapped, self._limits
        wanted = self._wanted(used)
        is_tight = mapped - used < limits.map_room
        if (mapped >= wanted // 2 and not is_tight) or used < self._next_attempt:
            return
        self._next_attempt = used + min(limits.map_room, (mapped - used) // 2)
        seconds = _TIGHT_SECONDS if is_tight else 0.0
        with (
            contextlib.suppress(BusyError, StorageFullError),
            self._drain.emptied(own=1, seconds=seconds),
        ):
            self.resize(used + limits.map_slack, max(wanted, used + 2 * limits.map_room))

    def enlarge(self) -> None:
        """Grow the map for a write transaction that has filled it and was rolled back, but counts
        as inside. Raises `BusyError` if other transactions of this process stay open,
        `StorageFullError`."""
        with self._drain.emptied(own=1, seconds=self._limits.drain_seconds):
            used, mapped = self.used, self.mapped
            self.resize(mapped + max(mapped - used, self._limits.map_slack), self._wanted(mapped))

    def adopt(self) -> None:
        """Grow the map after another process has grown the file beyond it. Same errors."""
        with self._drain.emptied(seconds=self._limits.drain_seconds):
            used = self.used
            if used > self.mapped:  # else another thread was quicker
                # Not to that process's size: it may have far more address space than this one.
                self.resize(used + self._limits.map_slack, self._wanted(used))

    def resize(self, least: int, wanted: int) -> None:
        """Map ``wanted`` bytes, or as many as there is address space for, but at least ``least``.
        REQUIRES: the drain is emptied."""
        mapped, slack = self.mapped, self._limits.map_slack
        size = max(wanted, least, mapped)
        # liblmdb unmaps first: when the new mapping then fails, the environment is lost.
        while size > least and not has_address_space(size - mapped + slack):
            size = max(size // 2, least)
        if size <= mapped or not has_address_space(size - mapped + slack):
            raise StorageFullError(
                f"{self._path}: no address space for a map of {least} bytes (ulimit -v)"
            )
        self._environment.set_mapsize(size)
        self.epoch = next(_epochs)

    def _wanted(self, size: int) -> int:
        return reservation(size, self._map_size, self._limits)
