"""The newest state of an environment; later states take over the segments that both contain.

How a reader notices a commit: each read transaction compares the header of the manifest's envelope,
which holds its checksum, with that of the newest state.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from mvdb.state import manifest
from mvdb.state.settings import Settings
from mvdb.state.state import State, open_state
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield


@dataclass(frozen=True)
class _Cached:
    """A state, the epoch of the map that its views point into, and the header of its manifest's
    envelope, with its checksum: an equal header is an equal state."""

    state: State
    epoch: int
    header: bytes


class StateCache:
    """Opened segments and codecs of one environment, and the newest state. Thread-safe."""

    def __init__(self, stored: Settings) -> None:
        self._stored = stored
        self._lock = threading.Lock()
        self._newest: _Cached | None = None  # one reference: readers take no lock

    def clear(self) -> None:
        """Drops all: the map is about to move or to close."""
        self._newest = None

    def state(self, txn: ReadTransaction) -> State:
        """The state that a transaction sees."""
        value = txn.get(manifest.TABLE, manifest.KEY)
        header = bytes(value[:16]) if value is not None else b""
        newest = self._newest
        if newest is not None and header == newest.header and txn.epoch == newest.epoch:
            return newest.state
        return shield.run(lambda: self._open(txn, header))

    def _open(self, txn: ReadTransaction, header: bytes) -> State:
        with self._lock:
            newest = self._newest
            reusable = newest.state if newest is not None and newest.epoch == txn.epoch else None
            state = open_state(txn, manifest.load(txn), self._stored, reusable)
            # An old snapshot must not displace the state that current readers share.
            if reusable is None or state.manifest.sequence >= reusable.manifest.sequence:
                self._newest = _Cached(state, txn.epoch, header)
            return state
