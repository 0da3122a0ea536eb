"""What a process holds: open databases, child processes, threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_SERVERS = (b"multiprocessing.forkserver", b"multiprocessing.resource_tracker")
"""Processes that begin with the first test that needs them and end with pytest."""


def held() -> set[str]:
    """Each as a text; databases and children on Linux alone."""
    threads = {f"thread {one.name}" for one in threading.enumerate() if not one.daemon}
    if not Path("/proc/self/fd").exists():
        return threads
    return {one for one in threads if "mvdb" not in one} | _databases() | _children()


def _databases() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:  # that of the listing itself
            continue
        if ".mvdb" in name:
            found.add(f"file {name}")
    return found


def _children() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:  # the thread has ended, or the system does not tell
            continue
        for child in children:
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if not any(server in line for server in _SERVERS):
                found.add(f"process {child} {line.decode(errors='replace')[:100]}")
    return found
