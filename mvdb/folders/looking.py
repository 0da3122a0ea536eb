"""The first step: which files there are, and which of them are new or changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from mvdb.documents import file_identity
from mvdb.documents.file_identity import Identity
from mvdb.errors import InvalidInputError, PathNotFoundError
from mvdb.folders.file_changes import Found, Move
from mvdb.folders.report import Refusal, Report
from mvdb.folders.stored_files import StoredFiles, below, is_gone
from mvdb.folders.sync_options import Options
from mvdb.reading.files import content_hash, read_file
from mvdb.reading.finding import find_files
from mvdb.reading.formats import has_reader
from mvdb.reading.unreadable import BINARY, MISSING_LIBRARY, Unreadable


@dataclass
class Seen:
    """What was seen: files to be read, files that moved, and versions to be deleted."""

    changed: list[Found] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    stale: list[Identity] = field(default_factory=list)


class Looking:
    """Looks at the files of all sources, each once."""

    def __init__(self, stored: StoredFiles, options: Options, report: Report, cutting: str) -> None:
        self._stored = stored
        self._options = options
        self._report = report
        self._cutting = cutting
        self._places: set[Path] = set()
        self.seen = Seen()

    def find(self, sources: Sequence[Path], own: set[str]) -> list[tuple[Path, str]]:
        """Paths and roots of the files of sources. own: paths that are never indexed.

        PathNotFoundError for a source that is not there, unless files of it are known and may be
        pruned."""
        found: list[tuple[Path, str]] = []
        for source in sources:
            if not os.path.lexists(source):
                self._check_known(source)
                continue
            root = self._root(source)
            for path in find_files(
                source, self.refuse, ignore=self._options.ignore, hidden=self._options.hidden
            ):
                relative = path.name if path == source else path.relative_to(source).as_posix()
                is_taken = self._options.takes(relative) and str(path) not in own
                if is_taken and path not in self._places:
                    self._places.add(path)
                    found.append((path, root))
        return found

    def _check_known(self, source: Path) -> None:
        known = any(below(file.any_version.place, source) for file in self._stored)
        if not (known and self._options.prune):
            hint = "; its passages can be deleted with prune=True (--prune)" if known else ""
            raise PathNotFoundError(
                f"sources: {source}: no such file or folder{hint}; nothing was indexed"
            )

    def _root(self, source: Path) -> str:
        root = self._options.root
        if root is None:
            return self._stored.root_above(source) or str(source.parent)
        if not below(source, root):
            raise InvalidInputError(f"root: {source} is not below {root}")
        return str(root)

    def look(self, path: Path, root: str) -> None:
        """Looks at one file."""
        try:
            hash = content_hash(read_file(path, self._options.most_bytes))
        except Unreadable as error:
            self.refuse_file(path, error)
            return
        file = self._stored.at(path)
        whole = file.whole if file else None
        if whole and whole.hash == hash and whole.cutting == self._cutting:
            self._report.unchanged += 1
            return
        moved = None if file else self._stored.take_gone(hash, path.suffix, self._cutting)
        if moved is None:
            self.seen.changed.append(Found(path, root, hash))
            return
        after = identity_of(path, root, hash, moved.passages, self._cutting)
        self.seen.moves.append(Move(moved, replace(after, stem=moved.stem)))
        self._places.add(moved.place)
        self._report.renamed += 1

    def refuse(self, path: Path, reason: str, kind: str) -> None:
        """Counts what is left out; binary files of unknown kinds by their endings."""
        if kind == BINARY and not has_reader(path):
            kind = path.suffix.lower() or "no ending"
        self._report.refuse(Refusal(str(path), kind, reason))

    def refuse_file(self, path: Path, error: Unreadable) -> None:
        """Counts a file that cannot be read, and lets go of its passages."""
        self.refuse(path, str(error), error.kind)
        file = self._stored.at(path)
        if file and not self._options.keep_unreadable and error.kind != MISSING_LIBRARY:
            self.seen.stale += file.versions
            self._report.removed += 1

    def prune(self, sources: Sequence[Path]) -> None:
        """Lets go of the passages of files that are gone from the sources."""
        for file in self._stored:
            place = file.any_version.place
            is_below = any(below(place, source) for source in sources)
            if is_below and place not in self._places and is_gone(place):
                self.seen.stale += file.versions
                self._report.removed += 1


def identity_of(path: Path, root: str, hash: str, passages: int, cutting: str) -> Identity:
    """The identity of a file as it is now."""
    try:
        status = path.stat()
        size, seconds = status.st_size, status.st_mtime
    except OSError:  # gone since it was read
        size, seconds = 0, 0.0
    modified = datetime.fromtimestamp(seconds, timezone.utc)
    name = file_identity.written(os.path.relpath(path, root))
    return Identity(
        root=file_identity.written(root),
        path=name,
        stem=file_identity.stem_of(name),
        hash=hash,
        passages=passages,
        cutting=cutting,
        size=size,
        modified=modified.isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
