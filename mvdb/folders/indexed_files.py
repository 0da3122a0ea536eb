"""The indexed files of a database, for those who list, show or delete them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvdb.documents import file_identity
from mvdb.folders.file_changes import TRAIL
from mvdb.folders.stored_files import Readable, StoredFiles
from mvdb.reading.passages import Passage
from mvdb.types import Value


@dataclass(frozen=True)
class IndexedFile(Value):
    """A file as it was indexed.

    Attributes:
        path: as in the metadata of its passages: relative to `root`, with forward slashes.
        root: an absolute path, of the file system.
        size: bytes.
        modified: when the file was modified last, ISO 8601, UTC.
        hash: of the content: XXH3, 64 bits, hexadecimal.
        passages: their number.
        ids: of the passages, in order. One that was deleted is among them.
        is_whole: False after an interruption, until the next :func:`sync`."""

    path: str
    root: str
    size: int
    modified: str
    hash: str
    passages: int
    ids: tuple[str, ...]
    is_whole: bool

    @property
    def place(self) -> str:
        """Where the file was when it was indexed: an absolute path."""
        return str(file_identity.place_of(self.root, self.path))


def files(db: Readable) -> Iterator[IndexedFile]:
    """The files that a database has passages of, in the order of their paths.

    Args:
        db: a database, snapshot or transaction. The column of one field is read, no documents.

    Raises:
        ClosedError, CorruptionError
    """
    found = [
        IndexedFile(
            path=one.path,
            root=file_identity.read_back(one.root),
            size=one.size,
            modified=one.modified,
            hash=one.hash,
            passages=one.passages,
            ids=tuple(one.ids()),
            is_whole=file.whole is not None,
        )
        for file in StoredFiles(db)
        for one in [file.any_version]
    ]
    return iter(sorted(found, key=lambda file: (file.path, file.root)))


def place_of(metadata: Mapping[str, Any]) -> Path | None:
    """Where the file of a passage was when it was indexed, absolute.

    Args:
        metadata: of a document. None for one that is no passage of a file.
    """
    found = file_identity.parse(metadata.get(file_identity.FIELD))
    return found.place if found else None


def encoded_text(text: str, metadata: Mapping[str, Any]) -> str:
    """What the encoder was given of a passage: the headings above it and its text.

    Args:
        text, metadata: of a document. One that is no passage of a file was encoded as its text is.
    """
    title = metadata.get("title")
    if file_identity.FIELD not in metadata or not isinstance(title, str) or not title:
        return text
    return Passage(text, 0, 0, tuple(title.split(TRAIL))).encoded
