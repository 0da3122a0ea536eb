"""The indexed files of a database, by the names that people give them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import mvdb

_NUMBER = re.compile(r"\d+")
_IS_PASSAGE = {"hash": {"$exists": True}}


@dataclass(frozen=True)
class StoredFile:
    """An indexed file: its path in the database and its number of passages; bytes and time
    (ISO 8601, UTC) of its content, None where they are not stored."""

    path: str
    passages: int
    size: int | None
    modified: str | None


class StoredFiles:
    """The indexed files of a database, read once, when first needed."""

    def __init__(self, db: mvdb.Database) -> None:
        self._db = db

    @cached_property
    def by_path(self) -> dict[str, StoredFile]:
        """In the order of their paths."""
        counted = self._db.facets("path", filter=_IS_PASSAGE, limit=None)
        paths = sorted((path, number) for path, number in counted if isinstance(path, str))
        return {path: StoredFile(path, number, None, None) for path, number in paths}

    def below(self, name: str) -> list[StoredFile]:
        """The file of this name, or all files below the folder of this name, or none."""
        path = os.path.normpath(name).replace(os.sep, "/")
        if path in self.by_path and not name.endswith("/"):
            return [self.by_path[path]]
        files = self.by_path.values()
        return [one for one in files if path == "." or one.path.startswith(f"{path}/")]

    def file_of(self, document: mvdb.Document) -> StoredFile | None:
        """The file that a document is a passage of."""
        metadata = document.metadata or {}
        return self.by_path.get(metadata.get("path", "")) if "hash" in metadata else None

    def passages(self, file: StoredFile) -> list[mvdb.Document]:
        """The passages of a file, in their order."""
        return sorted(self._db.documents({"path": file.path, **_IS_PASSAGE}), key=_place)

    def names(self) -> list[str]:
        """The paths of all files and folders; those of folders end with a slash."""
        folders = {str(one) for path in self.by_path for one in PurePosixPath(path).parents}
        return [*self.by_path, *(f"{one}/" for one in sorted(folders) if one not in (".", "/"))]


def _place(passage: mvdb.Document) -> tuple[int, list[int]]:
    """The line of a passage, and the numbers in its id: a line may have several passages."""
    line: Any = (passage.metadata or {}).get("line")
    return line if isinstance(line, int) else 0, [int(n) for n in _NUMBER.findall(str(passage.id))]
