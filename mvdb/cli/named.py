"""The documents that an argument of a command names: by an id, a file or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mvdb
from mvdb import folders
from mvdb.cli.files_by_name import FilesByName
from mvdb.cli.nearest import MOST_NAMES, did_you_mean, suggestion
from mvdb.folders import IndexedFile

_MOST_ID_BYTES = 500


class Named:
    """The documents of a database, or of one of its tenants, by name. Files have no tenant."""

    def __init__(self, db: mvdb.Database, tenant: str | None = None) -> None:
        self._db = db
        self._tenant = tenant
        self._files = FilesByName(db)

    def document(self, id: str | int) -> mvdb.Document | None:
        """The document with this id; None for an unknown id, and for a name that can be no id."""
        if isinstance(id, str) and not _may_be_id(id):
            return None
        return self._db.get([id], tenant=self._tenant)[0]

    def files(self, name: str) -> list[IndexedFile]:
        """The indexed file of this name, or the files below the folder of this name."""
        return [] if self._tenant is not None else self._files.below(name)

    def name(self, file: IndexedFile) -> str:
        """See `FilesByName.name`."""
        return self._files.name(file)

    def passages(self, file: IndexedFile) -> list[mvdb.Document]:
        """In their order."""
        return self._files.passages(file)

    def ids(self, file: IndexedFile) -> Sequence[str | int]:
        """Of its passages."""
        return self._files.ids(file)

    def around(self, document: mvdb.Document, distance: int) -> list[mvdb.Document]:
        """The document between its neighbours in the same file, at most `distance` on each side."""
        if self._tenant is not None or not distance:
            return [document]
        return folders.context(self._db, document, before=distance, after=distance)

    def hint(self, name: str) -> str:
        """The end of a message about a name that nothing has: ids, files and folders like it."""
        paths = [] if self._tenant is not None else self._files.names()
        return did_you_mean(name, [*paths, *self._ids()])

    def hint_for_ids(self, name: str) -> str:
        """The end of a message about an id that no document has: ids like it, or those of the
        file of this name."""
        files = self.files(name)
        if len(files) == 1:
            return suggestion([str(one.id) for one in self.passages(files[0])[:3]])
        return did_you_mean(name, self._ids())

    def _ids(self) -> Iterator[str]:
        """Ids, if there are so few that comparing takes no time."""
        if len(self._db) <= MOST_NAMES:
            yield from map(str, self._db.ids(tenant=self._tenant))


def _may_be_id(name: str) -> bool:
    try:
        return 0 < len(name.encode()) <= _MOST_ID_BYTES
    except UnicodeEncodeError:  # bytes of the command line that are no UTF-8
        return False
