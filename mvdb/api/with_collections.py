"""Collections of a file, as methods of its database."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from mvdb.api import collection_access
from mvdb.api.readable import Readable
from mvdb.state import settings

Self = TypeVar("Self", bound="WithCollections")


class WithCollections(Readable):
    """Making, opening and dropping of collections."""

    def collection(
        self: Self,
        name: str,
        *,
        dim: int | None = None,
        bits: int = settings.DEFAULT_BITS,
        encoder: Any = None,
    ) -> Self:
        """A collection of the file: a database of its own, with own documents, ids, dimensions,
        centroids and encoder, in the same file and under the same locks. It is made if it is not
        there and the file is open for writing, in a transaction of its own; words are then indexed
        as in this database, until `optimize(lexical=...)` of the collection says otherwise.

        Args:
            name: 1 to 200 UTF-8 bytes, no control characters.
            dim: dimensions of a token vector, 1..4096; needed to make it (or taken from the
                encoder), later checked when given. Independent of the file's.
            bits: as for `mvdb.open`; fixed when it is made.
            encoder: as for `mvdb.open`. None: the one given last for this name on this handle of
                the file, if any.

        Closing the result ends that handle alone; closing this database ends all. The memory, the
        background thread and the turns of writers are shared by all collections of the file.
        `backup` copies the file, `compact` is refused; all other methods concern the collection
        alone.

        Raises:
            NotFoundError: no such collection, and the file is open with readonly=True.
            InvalidInputError: the name cannot be one; dim is missing to make the collection, or it
                has other `bits`; this database is itself a collection.
            DimensionMismatch: the collection has another `dim`.
            BusyError: it is not there, and this thread has a transaction open.
        """
        engine = collection_access.opened(self._engine, name, dim, bits, encoder)
        if engine.encoder_problem is not None:
            warnings.warn(engine.encoder_problem, stacklevel=2)
        return type(self)(engine)

    def drop_collection(self, name: str) -> None:
        """Removes a collection with all of its documents, in one transaction. Its handles raise
        ClosedError afterwards; snapshots that were begun before still read it. Another collection
        of that name may be made.

        Raises NotFoundError for an unknown name, BusyError when this thread has a transaction
        open."""
        collection_access.drop(self._engine, name)
