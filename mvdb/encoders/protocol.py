"""What an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

# The name is kept in database files: change it when, and only when, the vectors change.
DEFAULT_NAME = "all-MiniLM-L6-v2-pca128"


@runtime_checkable
class Encoder(Protocol):
    """What turns texts into token vectors.

    An encoder may also have ``pooling: str``, which says how it lessens a document's rows
    ("none" when there is a row for each token it keeps).
    """

    @property
    def dim(self) -> int:
        """Columns of every array that the encoder returns."""
        ...

    @property
    def name(self) -> str:
        """What distinguishes this encoder's vectors from another's; kept in the database file."""
        ...

    def encode_documents(self, texts: Sequence[str], /) -> Sequence[NDArray[Any]]:
        """One (n, dim) array of floats per text, in order; n >= 1 differs from text to text."""
        ...

    def encode_queries(self, texts: Sequence[str], /) -> Sequence[NDArray[Any]]:
        """One (m, dim) array of floats per text, in order, with m >= 1."""
        ...
