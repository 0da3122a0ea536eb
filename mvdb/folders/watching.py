"""Keeps a database up to date with folders while they change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mvdb import Database
from mvdb.errors import InvalidInputError, PathNotFoundError, shown
from mvdb.extras import library
from mvdb.folders import sync_options
from mvdb.folders.report import Report
from mvdb.folders.sync_options import Source
from mvdb.folders.syncing import bound
from mvdb.hooks import Event
from mvdb.reading.ignoring import IGNORE_FILES

_QUIET_MS = 400
"""An editor writes a file in several steps: this long nothing must have changed."""
_CHECK_MS = 500
"""How often `stop` is looked at."""


def watch(
    db: Database,
    sources: Source | Sequence[Source],
    *,
    stop: Event | None = None,
    prune: bool = True,
    **options: Any,
) -> Iterator[Report]:
    """Syncs, and syncs again after each change, until the caller ends it.

    >>> for report in folders.watch(db, "notes"):     # doctest: +SKIP
    ...     print(report.indexed, "files indexed")

    Only files that changed are read again. The database may lie in a watched folder.

    Args:
        db: a database that is open for writing.
        sources: a path or several, of files and folders.
        stop: a `threading.Event`; once it is set, the iteration ends.
        prune: delete the passages of files that are gone.
        options: the other ones of :func:`sync`.

    Yields:
        The report of each :func:`sync`; the first at once.

    Raises:
        ImportError: watchfiles is not installed (extra `watch`).
        The errors of :func:`sync`.
    """
    watchfiles = library("watchfiles", "watch", "watching folders needs watchfiles")
    run, places = bound(db, sources, prune=prune, **options), sync_options.sources_of(sources)
    if stop is not None and not isinstance(stop, Event):
        raise InvalidInputError(f"stop: a threading.Event or None is needed, not {shown(stop)}")
    for place in places:
        if not os.path.lexists(place):
            raise PathNotFoundError(f"sources: {place}: no such file or folder")
    own = {f"{db.path}{ending}" for ending in ("", "-lock")}
    events = watchfiles.watch(
        *places,
        watch_filter=lambda _, path: os.path.abspath(path) not in own,
        stop_event=stop,
        step=_QUIET_MS,
        rust_timeout=_CHECK_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    # The first event of the watcher, be it empty, tells that no later change is missed.
    next(events, None)
    yield run()
    for changes in events:
        if changes:
            changed = {Path(os.path.abspath(path)) for _, path in changes}
            yield run(None if any(path.name in IGNORE_FILES for path in changed) else changed)
