"""The database below an adapter: texts with metadata go in, hits come out.

Thread-safe, as the database is: the asynchronous methods of the adapters call these in threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import mvdb
from mvdb import encoders
from mvdb.errors import InvalidInputError, shown

Location = mvdb.Database | str | os.PathLike[str]
"""An open database, or the path of a file."""

_MODES = ("auto", "dense", "lexical", "hybrid")


def encoder_of(encoder: Any) -> Any:
    """An encoder that was given itself, or by its name for `mvdb.encoders.load`."""
    return encoders.load(encoder) if isinstance(encoder, str) else encoder


def checked_mode(mode: Any) -> str:
    """The mode of a search; InvalidInputError for an unknown one."""
    if mode not in _MODES:
        raise InvalidInputError(f"mode: one of {', '.join(_MODES)} is needed, not {shown(mode)}")
    return str(mode)


class TextDatabase:
    """A database that the adapter opened and closes, or one that its user opened and closes."""

    def __init__(
        self, location: Location, encoder: Any, mode: str, options: Mapping[str, Any]
    ) -> None:
        """encoder: see `encoder_of`; mode: of searches by text; options: others of `mvdb.open`.

        Raises InvalidInputError for an unknown mode, and for an encoder or options beside an open
        database, which has its own."""
        self.mode = checked_mode(mode)
        self._is_own = not isinstance(location, mvdb.Database)
        if not isinstance(location, mvdb.Database):
            self.database = mvdb.open(location, encoder=encoder_of(encoder), **options)
        elif encoder is not None or options:
            extra = ", ".join([*(["an encoder"] if encoder is not None else []), *options])
            raise InvalidInputError(
                f"{location.path}: an open database takes no {extra}; give them to mvdb.open, or "
                "give the path of the file instead of the database"
            )
        else:
            self.database = location

    def close(self) -> None:
        """Closes the file, if the adapter opened it."""
        if self._is_own:
            self.database.close()

    def put(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        metadata: Sequence[Mapping[str, Any] | None],
    ) -> None:
        """Adds documents or replaces them whole, all or none."""
        if ids:
            self.database.upsert(list(ids), texts=list(texts), metadata=list(metadata))

    def get(self, ids: Sequence[str]) -> list[mvdb.Document]:
        """The documents of these ids, in their order, without those that are not there."""
        found = self.database.get(list(ids)) if ids else []
        return [one for one in found if one is not None]

    def search(self, query: str | Sequence[float], k: int, **options: Any) -> list[mvdb.Hit]:
        """The best hits for a text, or for one vector. options: others of `Database.search`."""
        if k == 0:
            return []
        options = {name: value for name, value in options.items() if value is not None}
        if isinstance(query, str):
            options.setdefault("mode", self.mode)
            return self.database.search(query, k, fields=("text", "metadata"), **options)
        matrix = np.asarray([query])
        return self.database.search(matrix, k, fields=("text", "metadata"), **options)

    def diverse(
        self, query: str | Sequence[float], k: int, fetch_k: int, diversity: float, **options: Any
    ) -> list[mvdb.Hit]:
        """Maximal marginal relevance: the best `fetch_k` hits, of which `k` are selected so that
        they differ. diversity: see `Database.search`."""
        near = [hit.id for hit in self.search(query, max(k, fetch_k), **options)]
        options = {**options, "ids": near, "diversity": diversity}
        return self.search(query, k, **options)
