"""Giving up what root may do beyond permissions, without becoming somebody else: another user could
enter neither a checkout nor an environment below a folder of mode 0700."""

from __future__ import annotations

import ctypes
import os
import sys

from mvdb.threads import shield

PERMISSIONS_BIND = os.name == "posix" and os.geteuid() != 0
"""Whether permissions bind this process without further ado."""
CAN_GIVE_UP = PERMISSIONS_BIND or sys.platform == "linux"

_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def give_up() -> None:
    """From here on permissions bind this process: its present thread, the one that does steps of
    mvdb for it, and those begun later."""
    if not PERMISSIONS_BIND:
        shield.run(_give_up)
        _give_up()


def _give_up() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: bits 0..31, then 32..63
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for i in range(3):
        sets[i] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
