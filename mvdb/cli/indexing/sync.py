"""Files into a database: unchanged ones are skipped, changed ones replaced, vanished ones removed.

A file's passages are written in one transaction (several small files share one), each with the hash
of the file's content. After a kill, the same command therefore resumes: a file is stored whole or
not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mvdb.cli.console import Console
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.names import id_stem, passage_id, path_from, path_in, split_id
from mvdb.cli.indexing.target import BATCH, Id, Record, Target
from mvdb.cli.progress import Update
from mvdb.reading import Unreadable, cut
from mvdb.reading.files import content_hash, read_file
from mvdb.reading.finding import find_files
from mvdb.reading.formats import has_reader, read_bytes
from mvdb.reading.unreadable import BINARY, FAILED, MISSING_LIBRARY


class FileSync:
    """Brings a database up to date with files."""

    def __init__(
        self,
        target: Target,
        console: Console,
        counts: Counts,
        most_bytes: int,
        *,
        ignore: bool = True,
        hidden: bool = False,
        keep_unreadable: bool = False,
    ) -> None:
        """ignore, hidden: see `Ignoring`. keep_unreadable: passages of a file stay when it can no
        longer be read."""
        self._target = target
        self._console = console
        self._counts = counts
        self._most_bytes = most_bytes
        self._ignore = ignore
        self._hidden = hidden
        self._keep_unreadable = keep_unreadable
        # The greatest passage number by file; of a million passages this holds only the files.
        self._known: dict[str, int] = {}
        for stem, number in filter(None, map(split_id, target.db.ids())):
            self._known[stem] = max(number, self._known.get(stem, 0))
        self._seen: set[str] = set()
        self._records: list[Record] = []
        self._stale: list[Id] = []

    def index(self, sources: Sequence[Path], update: Update) -> None:
        """Indexes files and folders."""
        own = {os.path.abspath(f"{self._target.path}{ending}") for ending in ("", "-lock")}
        paths = [
            path
            for source in sources
            for path in find_files(source, self._refuse, ignore=self._ignore, hidden=self._hidden)
            if os.path.abspath(path) not in own
        ]
        for number, path in enumerate(paths, start=1):
            self._file(path)
            if len(self._records) >= BATCH:
                self._flush()
            update(number, len(paths), self._counts.note())
        self._flush()

    def prune(self, sources: Sequence[Path]) -> None:
        """Removes the passages of files that are gone from the folders among `sources`."""
        folders = [Path(os.path.abspath(source)) for source in sources if source.is_dir()]
        for stem in self._known.keys() - self._seen:
            name = self._metadata(stem).get("path")
            if not isinstance(name, str) or id_stem(name) != stem:
                continue  # a document whose id only looks like that of a file's passage
            path = path_from(self._target.path, name)
            if any(path.is_relative_to(folder) for folder in folders) and _is_gone(path):
                self._stale += self._ids(stem)
                self._counts.files["removed"] += 1
            if len(self._stale) >= BATCH:
                self._flush()
        self._flush()

    def _refuse(self, path: Path, reason: str, kind: str) -> None:
        if kind == FAILED:
            self._counts.fail(str(path), reason)
            self._console.warn(f"{path}: {reason}")
            return
        unknown = kind == BINARY and not has_reader(path)
        self._counts.skip(path.suffix.lower() or "no ending" if unknown else kind)
        if not unknown and kind != "link":
            self._console.warn(f"{path}: skipped: {reason}")

    def _file(self, path: Path) -> None:
        name = path_in(self._target.path, path)
        stem = id_stem(name)
        if stem in self._seen:  # by way of another SRC
            return
        self._seen.add(stem)
        try:
            data = read_file(path, self._most_bytes)
            hash = content_hash(data)
            if self._metadata(stem).get("hash") == hash:
                self._counts.files["unchanged"] += 1
                return
            reading = read_bytes(path, data)
            passages = list(cut(reading.blocks))
        except Unreadable as error:
            self._refuse(path, str(error), error.kind)
            if not self._keep_unreadable and error.kind != MISSING_LIBRARY:
                self._stale += self._ids(stem)
            return
        if reading.note:
            self._console.warn(f"{path}: {reading.note}")
        records = []
        for number, one in enumerate(passages, start=1):
            place = {"path": name, "title": " > ".join(one.trail), "line": one.line}
            place |= {"end_line": one.end_line, "hash": hash}
            records.append(Record(passage_id(stem, number), one.text, place))
        if len(self._records) + len(records) > 2 * BATCH:
            self._flush()  # a long file goes alone: it is encoded within its transaction
        self._stale += self._ids(stem)
        self._records += records
        self._counts.files["empty"] += not records

    def _flush(self) -> None:
        if self._records or self._stale:
            self._counts.passages["deleted"] += self._target.write(self._records, self._stale)
            self._counts.passages["written"] += len(self._records)
            self._counts.files["indexed"] += len({one.metadata["path"] for one in self._records})
            self._records, self._stale = [], []

    def _ids(self, stem: str) -> list[Id]:
        return [passage_id(stem, number) for number in range(1, self._known.get(stem, 0) + 1)]

    def _metadata(self, stem: str) -> dict[str, object]:
        """The metadata of a stored passage of a file."""
        # The first may have been deleted by hand; the last is there, its number comes from it.
        last = self._known.get(stem)
        document = self._target.db.get([passage_id(stem, last)])[0] if last else None
        return dict(document.metadata or {}) if document else {}


def _is_gone(path: Path) -> bool:
    """Whether the file certainly is not there; a folder that cannot be read proves nothing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False
