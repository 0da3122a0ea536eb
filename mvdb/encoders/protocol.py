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

    Optional members:

    - ``pooling: str``: how a document's rows are lessened ("none" when there is a row for each
      token that is kept);
    - ``revision: str``: what tells apart vectors of the same name, such as a model's version;
    - ``prefix: str``: the text or tokens that the model puts before documents and queries;
    - ``tokens(texts, kind="document")``: for each text the characters ``(start, end)`` of each row
      of its matrix, ``(0, 0)`` for a row that stands for none; ``kind="query"`` for those of
      queries.
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
