"""The files that a database has passages of, as the column of identities lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mvdb.documents import file_identity
from mvdb.documents.file_identity import Identity
from mvdb.types import FacetValue


class Readable(Protocol):
    """A database, snapshot or transaction."""

    def facets(self, field: str, /, *, limit: int | None) -> list[tuple[FacetValue, int]]: ...


@dataclass
class StoredFile:
    """What is stored of one file: its versions, one but for copies that others made, and whether
    the writing of one was interrupted."""

    versions: list[Identity] = field(default_factory=list)
    is_unfinished: bool = False

    @property
    def whole(self) -> Identity | None:
        """The version, if it is the only one and was stored as a whole. Passages that somebody
        deleted later stay deleted."""
        return self.versions[0] if len(self.versions) == 1 and not self.is_unfinished else None

    @property
    def any_version(self) -> Identity:
        """One of the versions; all have one place."""
        return self.versions[0]


class StoredFiles:
    """All files of a database."""

    def __init__(self, db: Readable) -> None:
        self._by_place: dict[str, StoredFile] = {}
        for found in _identities(db, file_identity.FIELD):
            self._by_place.setdefault(str(found.place), StoredFile()).versions.append(found)
        for found in _identities(db, file_identity.UNFINISHED):
            file = self._by_place.get(str(found.place))
            if file is not None:  # else somebody wrote the field alone
                file.is_unfinished = True
        self._by_hash: dict[str, list[Identity]] = {}
        for file in self:
            if file.whole:
                self._by_hash.setdefault(file.whole.hash, []).append(file.whole)
        self.stems = {one.stem for file in self for one in file.versions}

    def __iter__(self) -> Iterator[StoredFile]:
        return iter(self._by_place.values())

    def at(self, place: Path) -> StoredFile | None:
        """The file of an absolute path."""
        return self._by_place.get(str(place))

    def take_gone(self, hash: str, suffix: str, cutting: str) -> Identity | None:
        """A whole file of this content, kind and cutting whose place is empty; it is given once."""
        for found in self._by_hash.get(hash, []):
            kept = found.cutting == cutting and found.place.suffix == suffix
            if kept and is_gone(found.place):
                self._by_hash[hash].remove(found)
                return found
        return None

    def root_above(self, place: Path) -> str | None:
        """The root of the source that holds a path; None if no source does."""
        roots = {one.top: one.root for file in self for one in file.versions}
        for folder in (place, *place.parents):
            if str(folder) in roots:
                return file_identity.read_back(roots[str(folder)])
        return None


def _identities(db: Readable, field: str) -> Iterator[Identity]:
    values = (value for value, _ in db.facets(field, limit=None))
    return filter(None, map(file_identity.parse, values))


def is_gone(path: Path) -> bool:
    """Whether a file certainly is not there; a folder that cannot be read proves nothing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    except ValueError:  # a name that no system has
        return True
    return False


def below(place: Path, source: Path) -> bool:
    """Whether a path is that of a source or of something below it."""
    return os.path.commonpath([place, source]) == str(source)
