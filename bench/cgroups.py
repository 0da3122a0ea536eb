"""Control groups of Linux, versions 1 and 2, that limit a process's memory, page cache included.

A limited group is made inside a group that the caller names: one made for the purpose and given to
the user. Groups that other software keeps, such as the one a session runs in, are not touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_v2(group: Path) -> bool:
    """Whether the folder is a group of the unified hierarchy."""
    return (group / "cgroup.controllers").exists()


def problem(group: Path) -> str | None:
    """Why no limited group can be made inside this one; None when it can."""
    if not (group / "cgroup.procs").exists():
        return f"{group} is no control group"
    if is_v2(group):
        if "memory" not in (group / "cgroup.controllers").read_text(encoding="ascii").split():
            return f"{group}: the memory controller is not available there"
    elif not (group / "memory.limit_in_bytes").exists():
        return f"{group} is no group of the memory controller"
    return None if os.access(group, os.W_OK) else f"{group} cannot be written"


@contextmanager
def limited(inside: Path, limit: int) -> Iterator[Path]:
    """A group whose processes and the pages they bring in have `limit` bytes; removed at the end.

    Raises OSError when it cannot be made."""
    group = inside / f"mvdb-bench-{os.getpid()}"
    if is_v2(inside):
        (inside / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    group.mkdir()
    try:
        name = "memory.max" if is_v2(inside) else "memory.limit_in_bytes"
        (group / name).write_text(str(limit), encoding="ascii")
        if is_v2(inside):
            with suppress(OSError):  # absent without swap accounting
                (group / "memory.swap.max").write_text("0", encoding="ascii")
        yield group
    finally:
        group.rmdir()


def enter(group: str) -> None:
    """Moves this process into a group."""
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def overview() -> list[str]:
    """The hierarchies that are mounted with a memory controller, for a message."""
    found = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(","):
            found.append(f"{folder}: version 1")
        elif kind == "cgroup2":
            controllers = (Path(folder) / "cgroup.controllers").read_text(encoding="ascii").split()
            has = "with" if "memory" in controllers else "without"
            found.append(f"{folder}: version 2, {has} the memory controller")
    return found
