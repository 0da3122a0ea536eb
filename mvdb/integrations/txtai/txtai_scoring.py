"""txtai's scoring on a database: late interaction and words as its sparse index.

txtai saves an index as a whole, and may change it in between: the database is a temporary file, of
which `save` leaves a copy and which `load` makes from one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from txtai.scoring import Scoring

import mvdb
from mvdb.integrations.text_database import TextDatabase, encoder_of


class MvdbScoring(Scoring):
    """A `txtai.scoring.Scoring`, chosen by the configuration
    `scoring={"method": "mvdb.integrations.txtai.MvdbScoring", "terms": True, "encoder": NAME}`.

    encoder: the name of one for `mvdb.encoders.load`; an encoder itself cannot be loaded again from
    a saved index. mode: as in `mvdb.Database.search`; "auto" and "hybrid" have scores in 0..1."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config)
        self._encoder = encoder_of(self.config.get("encoder"))
        self._folder = TemporaryDirectory(prefix="mvdb-txtai-")
        self._file = Path(self._folder.name, "scoring.mvdb")
        self._texts = self._opened()

    def _opened(self) -> TextDatabase:
        mode = self.config.get("mode", "auto")
        return TextDatabase(self._file, self._encoder, mode, {"durability": "relaxed"})

    def insert(
        self, documents: Iterable[Any], index: int | None = None, checkpoint: Any = None
    ) -> None:
        """Adds documents (id, dict, text or tokens, tags); other objects are left out. index: the
        number of the first one, in place of the ids."""
        rows: dict[Any, str] = {}
        for uid, document, _ in documents:
            if isinstance(document, dict):
                document = document.get(self.text, document.get(self.object))
            if isinstance(document, (str, list)):
                text = document if isinstance(document, str) else " ".join(document)
                rows[uid if index is None else index] = text
            if document is not None and index is not None:
                index += 1
        self._texts.put(list(rows), list(rows.values()), [None] * len(rows))

    def delete(self, ids: Sequence[Any]) -> None:
        """Removes documents."""
        self._texts.database.delete(list(ids))

    def weights(self, tokens: Sequence[str]) -> None:
        """There are no weights of terms."""

    def search(self, query: str, limit: int = 3) -> list[tuple[Any, float]]:
        """The best ids with their scores."""
        return [(hit.id, hit.score) for hit in self._texts.search(query, limit)]

    def batchsearch(
        self, queries: Iterable[str], limit: int = 3, threads: bool = True
    ) -> list[Any]:
        """`search` for each query."""
        return [self.search(query, limit) for query in queries]

    def count(self) -> int:
        """The number of documents."""
        return len(self._texts.database)

    def load(self, path: str) -> None:
        """Replaces the documents by those of a saved index."""
        self._texts.close()
        self._file.unlink()
        with mvdb.open(path, readonly=True) as saved:
            saved.backup(self._file)
        self._texts = self._opened()

    def save(self, path: str) -> None:
        """Leaves a copy at the path, in place of an earlier one."""
        fresh = f"{path}.new"
        Path(fresh).unlink(missing_ok=True)
        self._texts.database.backup(fresh)
        os.replace(fresh, path)

    def close(self) -> None:
        """Removes the temporary file."""
        self._texts.close()
        self._folder.cleanup()

    def issparse(self) -> bool:
        """It takes the place of txtai's sparse index."""
        return True

    def isnormalized(self) -> bool:
        """Whether scores are in 0..1."""
        return self._texts.mode in ("auto", "hybrid")

    def isbayes(self) -> bool:
        """Scores are no probabilities."""
        return False
