"""mvdb: an embedded on-disk retrieval engine for late interaction.

>>> import mvdb
>>> db = mvdb.open("notes.mvdb", dim=128)            # doctest: +SKIP
>>> db.insert("a", token_vectors, texts="a note")    # doctest: +SKIP
>>> db.search(query_vectors, k=10)                   # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING

from mvdb.api.database import Database
from mvdb.api.open import open
from mvdb.api.snapshot import Snapshot
from mvdb.api.transaction import Transaction
from mvdb.errors import (
    BusyError,
    CancelledError,
    ClosedError,
    CorruptionError,
    DimensionMismatch,
    DuplicateIdError,
    EncoderMismatchError,
    Error,
    FilterError,
    FormatError,
    InvalidInputError,
    LockFileError,
    NotFoundError,
    PathChangedError,
    PathDeniedError,
    PathError,
    PathExistsError,
    PathIsFolderError,
    PathNotFoundError,
    QueryError,
    ReadOnlyError,
    StorageFullError,
    WriteFailedError,
    WrongThreadError,
)
from mvdb.from_model import from_encoder
from mvdb.repair.repair import Repair, repair
from mvdb.types import Document, Explanation, Hit, InsertProgress, Profile, Report, Stats

if TYPE_CHECKING:
    from mvdb import aio as aio
    from mvdb import encoders as encoders
    from mvdb import reading as reading
else:

    def __getattr__(name: str):
        # They need no import of their own, and are imported at their first use. Rooms above this
        # one are not declared to type checkers; `from mvdb import folders` declares one.
        if name in ("aio", "encoders", "evaluation", "folders", "importers", "reading"):
            return importlib.import_module(f"mvdb.{name}")
        raise AttributeError(f"module 'mvdb' has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "CancelledError",
    "ClosedError",
    "CorruptionError",
    "Database",
    "DimensionMismatch",
    "Document",
    "DuplicateIdError",
    "EncoderMismatchError",
    "Error",
    "Explanation",
    "FilterError",
    "FormatError",
    "Hit",
    "InsertProgress",
    "InvalidInputError",
    "LockFileError",
    "NotFoundError",
    "PathChangedError",
    "PathDeniedError",
    "PathError",
    "PathExistsError",
    "PathIsFolderError",
    "PathNotFoundError",
    "Profile",
    "QueryError",
    "ReadOnlyError",
    "Repair",
    "Report",
    "Snapshot",
    "Stats",
    "StorageFullError",
    "Transaction",
    "WriteFailedError",
    "WrongThreadError",
    "from_encoder",
    "open",
    "repair",
]
