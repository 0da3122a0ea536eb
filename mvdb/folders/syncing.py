"""Files and folders into a database: unchanged files cost a look, changed ones are replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mvdb import Database
from mvdb.arguments import function
from mvdb.encoders import Encoder
from mvdb.folders import sync_options as checks
from mvdb.folders.file_changes import Change, Found
from mvdb.folders.indexed_files import place_of
from mvdb.folders.looking import Looking
from mvdb.folders.preparing import Preparing
from mvdb.folders.report import Progress, Report
from mvdb.folders.rules import rules_of
from mvdb.folders.stored_files import StoredFiles
from mvdb.folders.sync_options import MOST_BYTES, EncoderInput, Options, Source
from mvdb.folders.writing import Writing
from mvdb.hooks import Cancel, Hooks
from mvdb.reading.cutting import Cutting
from mvdb.reading.near_duplicates import NearDuplicates


def sync(
    db: Database,
    sources: Source | Sequence[Source],
    *,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    encoder: EncoderInput = None,
    prune: bool = False,
    progress: Callable[[Progress], object] | None = None,
    cancel: Cancel | None = None,
    root: Source | None = None,
    ignore: bool = True,
    hidden: bool = False,
    keep_unreadable: bool = False,
    max_bytes: int = MOST_BYTES,
    cutting: Cutting | None = None,
    dedupe: bool = False,
) -> Report:
    """Brings a database up to date with files and folders.

    New and changed files are read, cut into passages, encoded and stored; unchanged ones cost their
    reading. A passage is a document with its text and this metadata: `path`, `folder` and `name` of
    the file, `title` (the headings above the passage), `line`, `end_line`, `size` (bytes of the
    file), `modified` (ISO 8601, UTC; of the content: touching a file changes nothing), `document`
    (title of the document) and `properties` (its front matter and the like, 4 KiB at most) if it
    has them, and `indexed`, which tells what belongs to the file. What is encoded are the headings
    and the text. Ids are the path and the number of the passage, ``notes/guide.md#12``; they stay
    when a file is moved.

    A file that is known by its absolute path is the same file, wherever the database lies. A file
    of known content whose old place is empty was moved: its passages are kept, and nothing is
    encoded. After an interruption the same call goes on: a batch of 128 passages is encoded again
    at most. A long file is stored in several transactions.

    Args:
        db: a database that is open for writing.
        sources: a path or several, of files and folders.
        include, exclude: patterns of gitignore, of paths below a source: only those files, not
            those (needs pathspec, extra `cli`).
        encoder: an encoder, or a function that makes one when it is first needed; None: that of the
            database.
        prune: delete the passages of files that are gone from the sources, also of a source that is
            gone as a whole.
        progress: called with a :class:`Progress`.
        cancel: a `threading.Event`, or a function; once it is set, or gives a true value,
            CancelledError is raised. What is stored stays.
        root: the folder that the stored paths of new files are relative to. None: that of the
            source they lie in, if it is known; else the folder that holds the source.
        ignore: leave out what .gitignore and .ignore name, and folders of tools such as
            node_modules (needs pathspec).
        hidden: take names that begin with a dot, too.
        keep_unreadable: keep the passages of a file that can no longer be read.
        max_bytes: greater files are left out.
        cutting: the length of passages (`mvdb.reading.Cutting`); files that were cut otherwise are
            cut again. None: as the stored files are, else `Cutting()`.
        dedupe: leave out passages that are nearly the same as stored ones.

    Returns:
        What became of each file.

    Raises:
        PathNotFoundError: a source is not there.
        InvalidInputError: a malformed argument; no encoder where one is needed.
        ImportError: a library is not installed that `include` or `exclude` needs.
        EncoderMismatchError: the stored vectors come from another encoder.
        BusyError, ReadOnlyError, ClosedError, StorageFullError, WriteFailedError.
    """
    return bound(
        db,
        sources,
        include=include,
        exclude=exclude,
        encoder=encoder,
        prune=prune,
        progress=progress,
        cancel=cancel,
        root=root,
        ignore=ignore,
        hidden=hidden,
        keep_unreadable=keep_unreadable,
        max_bytes=max_bytes,
        cutting=cutting,
        dedupe=dedupe,
    )()


def bound(
    db: Database,
    sources: Source | Sequence[Source],
    *,
    encoder: EncoderInput = None,
    progress: Callable[[Progress], object] | None = None,
    cancel: Cancel | None = None,
    **options: Any,
) -> Callable[..., Report]:
    """`sync` with checked arguments, to be called once or again: with the paths to look at, all
    others being unchanged, or with None for all."""
    checked = checks.checked(**options)
    places, load = checks.sources_of(sources), checks.loader(encoder)
    function("progress", progress)
    hooks, tell = Hooks.checked(None, cancel), progress or (lambda progress: None)

    def run(only: set[Path] | None = None) -> Report:
        return _Run(db, checked, hooks, tell)(places, load, only)

    return run


class _Run:
    """One call of `sync`."""

    def __init__(
        self,
        db: Database,
        options: Options,
        hooks: Hooks,
        tell: Callable[[Progress], object],
    ) -> None:
        self._db = db
        self._options = options
        self._hooks = hooks
        self._tell = tell
        self._report = Report()
        self._stored = StoredFiles(db)
        versions = (file.any_version for file in self._stored)
        self._rules = rules_of(options.cutting, versions)
        self._looking = Looking(self._stored, options, self._report, self._rules.name)

    def __call__(
        self, sources: Sequence[Path], load: Callable[[], Encoder | None], only: set[Path] | None
    ) -> Report:
        started = time.monotonic()
        self._look(sources, only)
        writing = Writing(self._db, load, self._report, self._hooks, self._tell)
        writing.move(self._looking.seen.moves)
        self._write(writing)
        if self._options.prune:
            self._looking.prune(sources)
        writing.delete(self._looking.seen.stale)
        self._report.seconds = time.monotonic() - started
        return self._report

    def _look(self, sources: Sequence[Path], only: set[Path] | None) -> None:
        own = {f"{self._db.path}", f"{self._db.path}-lock"}
        found = self._looking.find(sources, own)
        if only is not None:
            found = [one for one in found if not only.isdisjoint((one[0], *one[0].parents))]
        for done, (path, root) in enumerate(found, start=1):
            self._looking.look(path, root)
            self._step("looking", done, len(found))

    def _write(self, writing: Writing) -> None:
        changed = self._looking.seen.changed
        preparing = Preparing(
            self._db,
            self._stored,
            self._looking,
            self._report,
            self._options.most_bytes,
            self._rules,
            self._duplicates(changed) if self._options.dedupe else None,
        )
        changes: list[Change] = []
        for done, found in enumerate(changed, start=1):
            change = preparing.prepare(found)
            if change is not None:
                changes.append(change)
            self._step("reading", done, len(changed))
        writing.expect(changes)
        for change in changes:
            passages = preparing.passages(change)
            if passages is None:
                self._looking.refuse(change.found.path, "it changes while it is read", "changing")
            else:
                writing.write(change, passages)
            change.passages = None
        writing.flush()

    def _duplicates(self, changed: Sequence[Found]) -> Callable[[str], bool]:
        """Tells texts that are nearly the same as one asked for before, or one that is stored and
        stays."""
        replaced = {found.path for found in changed}
        known = NearDuplicates(expected=max(len(self._db), 100_000))
        for document in self._db.documents():
            if document.text and place_of(document.metadata or {}) not in replaced:
                known.is_known(document.text)
        return known.is_known

    def _step(self, name: str, done: int, total: int) -> None:
        self._tell(Progress(name, done, total))
        self._hooks.check()
