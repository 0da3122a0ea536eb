"""Late-interaction models of PyLate: ``pylate.models.ColBERT``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pylate.models import ColBERT

from mvdb.arguments import whole_number
from mvdb.encoders.encoder_rows import (
    Rows,
    as_list,
    as_rows,
    loaded,
    never_empty,
    prefix_text,
)


class PylateEncoder:
    """A ``ColBERT`` of PyLate as an :class:`mvdb.encoders.Encoder`.

    Prefixes, query expansion, skipped tokens and greatest lengths are the model's own; a text
    longer than its ``document_length`` is cut there.

    Args:
        model: a folder with a saved model, the name of a published one, or a ``ColBERT``.
        batch_size: texts per forward pass.
        pool_factor: documents keep one row of so many, by PyLate's hierarchical pooling; 1: all.
        name: kept in database files; by default the model's name, or its folder's own name. Needed
            with a ``ColBERT``.
        options: keyword arguments of ``ColBERT``: ``device``, ``revision``, ``query_length``, ...

    Raises:
        PathError: there is no such model.
        InvalidInputError: ``batch_size`` or ``pool_factor`` is less than 1, or a ``ColBERT`` came
            without ``name``.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ColBERT,
        *,
        batch_size: int = 32,
        pool_factor: int = 1,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self._batch_size = whole_number("batch_size", batch_size, 1)
        self._pool_factor = whole_number("pool_factor", pool_factor, 1)
        self._model, self.name = loaded(
            model, name, lambda path: ColBERT(path, **options), "PylateEncoder"
        )
        self.pooling = "none" if pool_factor == 1 else f"hierarchical, {pool_factor}"
        self.revision: str | None = options.get("revision")
        self.prefix = prefix_text(self._model.query_prefix, self._model.document_prefix)
        self.dim = int(self._model.get_sentence_embedding_dimension())

    def encode_documents(self, texts: Sequence[str]) -> list[Rows]:
        """One (n, dim) float32 array of unit rows per text; n >= 1."""
        given = as_list(texts)
        rows = self._encode(given, is_query=False, pool_factor=self._pool_factor)
        return never_empty(rows, given, self.encode_queries)

    def encode_queries(self, texts: Sequence[str]) -> list[Rows]:
        """One (m, dim) float32 array of unit rows per text."""
        return self._encode(as_list(texts), is_query=True)

    def _encode(self, texts: list[str], **options: Any) -> list[Rows]:
        if not texts:
            return []
        encoded = self._model.encode(
            texts, batch_size=self._batch_size, show_progress_bar=False, **options
        )
        return as_rows(encoded, self.dim)
