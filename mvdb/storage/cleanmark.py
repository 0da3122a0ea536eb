"""The clean mark: a note on the file that mvdb closed it, and that no process has written since.

It is an extended attribute holding size, modification time, inode and device. It is set after the
last close, with nobody else present, and taken off (durably) before the first write of a session. A
copy lacks it or has another inode; any foreign write changes the time. Where extended attributes do
not exist (macOS and Windows in Python, some file systems) there is no mark and every opening
verifies.

The mark vouches for structure as it was written, not for the medium: bits that rot on disk leave it
valid, and are found by the checksums.
"""

from __future__ import annotations

import os
import sys
import time
from enum import Enum
from typing import Final

_ATTRIBUTE: Final = "user.mvdb.clean"
_VERSION: Final = 1


def is_marked(descriptor: int) -> bool:
    """Whether the open file carries a mark that is true now."""
    if sys.platform != "linux":
        return False
    try:
        return os.getxattr(descriptor, _ATTRIBUTE) == _describe(os.fstat(descriptor))
    except OSError:
        return False


def mark(descriptor: int) -> bool:
    """Set the mark; False where that is impossible. Only while nobody else has the file open.

    Changes the file's modification time to the present: the kernel stamps writes with a clock that
    ticks every few milliseconds, so a foreign write within the tick of our last one would leave the
    time unchanged. An exact time of our own differs from every such stamp.
    """
    if sys.platform != "linux":
        return False
    try:
        if is_marked(descriptor):
            return True
        now = time.time_ns()
        os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, now))
        status = os.fstat(descriptor)
        if status.st_mtime_ns != now:
            return False  # a file system with coarse times cannot tell the two apart
        os.setxattr(descriptor, _ATTRIBUTE, _describe(status))
    except OSError:
        return False
    return True


class _State(Enum):
    UNKNOWN = "maybe on the file"
    OFF = "taken off, maybe not durably"
    DURABLY_OFF = "taken off durably, or never there"


class SessionMark:
    """Takes the mark off the file before the first write of a session; later calls cost nothing.
    Used by the writer alone."""

    def __init__(self) -> None:
        self._state = _State.UNKNOWN

    def take_off(self, descriptor: int) -> None:
        """Raises `OSError` when the file cannot be synced; then the next call tries again.

        The sync is needed because fdatasync does not write a mere change of the modification time:
        after a power cut the old time could vouch for new bytes."""
        if self._state is _State.UNKNOWN:
            self._state = _State.OFF if _unmark(descriptor) else _State.DURABLY_OFF
        if self._state is _State.OFF:
            os.fsync(descriptor)
            self._state = _State.DURABLY_OFF


def _unmark(descriptor: int) -> bool:
    """Take the mark off; whether there was one."""
    if sys.platform != "linux":
        return False
    try:
        os.removexattr(descriptor, _ATTRIBUTE)
    except OSError:
        return False
    return True


def _describe(status: os.stat_result) -> bytes:
    fields = (_VERSION, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
    return " ".join(str(field) for field in fields).encode("ascii")
