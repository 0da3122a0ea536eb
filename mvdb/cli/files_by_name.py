"""The indexed files of a database, by the names that people give them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import mvdb
from mvdb import folders
from mvdb.folders import IndexedFile


class FilesByName:
    """The indexed files of a database, read once, when first needed."""

    def __init__(self, db: mvdb.Database) -> None:
        self._db = db

    @cached_property
    def all(self) -> list[IndexedFile]:
        """In the order of their paths."""
        return list(folders.files(self._db))

    @cached_property
    def _paths(self) -> Counter[str]:
        return Counter(one.path for one in self.all)

    def name(self, file: IndexedFile) -> str:
        """The path of a file as it is stored; where several files have it, the absolute one."""
        return file.path if self._paths[file.path] == 1 else file.place

    def below(self, name: str) -> list[IndexedFile]:
        """The files of this name, or those below the folder of this name.

        A name is a path as it is stored, which several files have if they have several roots; or
        else a path of the file system."""
        stored = os.path.normpath(name).replace(os.sep, "/")
        found = self._under(stored, "/", lambda file: file.path)
        return found or self._under(os.path.abspath(name), os.sep, lambda file: file.place)

    def _under(
        self, name: str, separator: str, name_of: Callable[[IndexedFile], str]
    ) -> list[IndexedFile]:
        same = [one for one in self.all if name_of(one) == name]
        folder = name.rstrip(separator) + separator
        return same or [one for one in self.all if name_of(one).startswith(folder)]

    def passages(self, file: IndexedFile) -> list[mvdb.Document]:
        """The passages of a file, in their order; of one that was indexed in part, also those of
        its older content."""
        if file.is_whole:
            return [one for one in self._db.get(file.ids) if one is not None]
        place = Path(file.place)
        found = self._db.documents({"name": place.name}, order_by="line")
        return [one for one in found if folders.place_of(one.metadata or {}) == place]

    def ids(self, file: IndexedFile) -> Sequence[str | int]:
        """The ids of the same passages."""
        return file.ids if file.is_whole else [one.id for one in self.passages(file)]

    def names(self) -> list[str]:
        """The paths of all files and folders; those of folders end with a slash."""
        above = {str(one) for path in self._paths for one in PurePosixPath(path).parents}
        return [*self._paths, *(f"{one}/" for one in sorted(above - {".", "/"}))]
