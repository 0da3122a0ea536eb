"""Files that appear whole or not at all: temporary names, atomic publication, durable folders.

A temporary file stands in the folder of its target as ``.NAME.mvdb-XXXXXXXX.tmp``. Its maker holds
a ``flock`` on it, so one that can be locked was left by a killed process and may be removed.
Sizes are bytes; functions are thread-safe.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator

from mvdb.storage.filelock import try_flock

_SUFFIX = ".tmp"
_MARK = ".mvdb-"
_LONGEST_STEM = 200
"""Bytes."""


@contextlib.contextmanager
def temporary_beside(path: str) -> Iterator[tuple[str, int]]:
    """Make an empty file in the folder of ``path``; give its name and a locked descriptor.

    On leaving, the descriptor is closed and the name removed, unless it was published. Raises
    `OSError` if the folder does not exist or may not be written.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{_stem(name)}{_MARK}{secrets.token_hex(4)}{_SUFFIX}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(temporary, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with contextlib.suppress(OSError):
            try_flock(descriptor, exclusive=True)
        yield temporary, descriptor
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _stem(name: str) -> str:
    """The name, shortened so that the temporary one still fits the file system's limit of bytes."""
    while len(os.fsencode(name)) > _LONGEST_STEM:
        name = name[:-1]
    return name


def publish_new(temporary: str, path: str) -> bool:
    """Give ``temporary`` the name ``path`` unless that exists already; then False.

    Durable on return. The content must have been synced before.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except (OSError, AttributeError, NotImplementedError):
        # No hard links here. On Windows rename refuses an existing target; elsewhere a file that
        # appears between these two lines would be replaced, which only such file systems risk.
        if os.path.lexists(path):
            return False
        try:
            os.rename(temporary, path)
        except FileExistsError:
            return False
    sync_folder(path)
    return True


def publish_over(temporary: str, path: str) -> None:
    """Give ``temporary`` the name ``path``, replacing what is there. Durable on return."""
    os.replace(temporary, path)
    sync_folder(path)


def sync_folder(path: str) -> None:
    """Make the folder's entry of ``path`` durable, where the system can sync folders."""
    folder = os.path.dirname(path) or os.curdir
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return  # Windows
    try:
        # Some file systems refuse to sync a folder; their renames are as durable as they get.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale(path: str) -> None:
    """Remove temporary files for ``path`` whose makers were killed. Never fails."""
    folder, name = os.path.split(path)
    pattern = os.path.join(glob.escape(folder), f".{glob.escape(_stem(name))}{_MARK}*{_SUFFIX}")
    for temporary in glob.glob(pattern):
        with contextlib.suppress(OSError):
            _remove_if_stale(temporary, path)


def _remove_if_stale(temporary: str, path: str) -> None:
    flags = os.O_RDONLY | os.O_NONBLOCK if hasattr(os, "O_NONBLOCK") else os.O_RDONLY
    descriptor = os.open(temporary, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        # Killed between link and unlink: a second name of the database itself, maybe in use.
        linked = os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path))
        if linked or try_flock(descriptor, exclusive=True):
            os.unlink(temporary)
    finally:
        os.close(descriptor)
