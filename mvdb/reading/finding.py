"""The files of a source: itself, or all below a folder, each once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mvdb.reading.ignoring import Ignoring

Refused = Callable[[Path, str, str], None]
"""Told of what cannot be visited: its path, the reason, and the kind of the reason."""


def find_files(
    source: Path, refused: Refused, *, ignore: bool = True, hidden: bool = False
) -> Iterator[Path]:
    """The files of `source`, in the order of their names; itself if it is no folder.

    What `Ignoring` leaves out is not visited. Symbolic links to folders are not followed, so that
    no loop has no end. A link to a file counts as that file: it is passed over if the file lies
    below the source too, and of several links to another file the first is taken."""
    if not source.is_dir():
        yield source
        return
    ignoring = Ignoring(source, ignore=ignore, hidden=hidden)
    inside = os.path.realpath(source) + os.sep
    linked: set[str] = set()
    waiting = [str(source)]  # os.walk calls itself for each level, which may be too many
    while waiting:
        folder = waiting.pop()
        try:
            folders, names = _listed(folder)
        except OSError as error:
            refused(Path(folder), error.strerror or str(error), "denied")
            continue
        ignoring.enter(folder, names)
        kept = []
        for name in folders:
            path = Path(folder, name)
            if ignoring.leaves_out(folder, name, is_folder=True):
                continue
            if path.is_symlink():
                refused(path, "a link to a folder", "link")
            else:
                kept.append(os.path.join(folder, name))
        waiting += reversed(kept)
        for name in names:
            path = Path(folder, name)
            if ignoring.leaves_out(folder, name, is_folder=False):
                continue
            if path.is_symlink() and os.path.exists(path):
                target = os.path.realpath(path)
                if target.startswith(inside) or target in linked:
                    refused(path, "a link to a file that is taken elsewhere", "link")
                    continue
                linked.add(target)
            yield path


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """The names of the folders, and those of all else, in a folder."""
    folders: list[str] = []
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link that the system does not follow
                is_folder = False
            (folders if is_folder else names).append(entry.name)
    return sorted(folders), sorted(names)
