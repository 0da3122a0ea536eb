"""Late-interaction models of fastembed: ``fastembed.LateInteractionTextEmbedding``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastembed import LateInteractionTextEmbedding

from mvdb.arguments import whole_number
from mvdb.encoders.encoder_rows import Rows, as_list, as_rows, never_empty
from mvdb.errors import PathError


class FastembedEncoder:
    """A ``LateInteractionTextEmbedding`` as an :class:`mvdb.encoders.Encoder`.

    Markers, query expansion and skipped tokens are fastembed's for that model.

    Args:
        model: one of ``LateInteractionTextEmbedding.list_supported_models()``, such as
            ``"colbert-ir/colbertv2.0"``; downloaded at first use.
        batch_size: documents per forward pass.
        name: kept in database files; by default the model's name.
        options: keyword arguments of ``LateInteractionTextEmbedding``: ``threads``, ``cache_dir``,
            ``specific_model_path`` (a folder with the model's files), ``providers``, ...

    Raises:
        PathError: fastembed does not know the model or cannot load its files.
        InvalidInputError: ``batch_size`` is less than 1.
    """

    pooling = "none"

    def __init__(
        self, model: str, *, batch_size: int = 256, name: str | None = None, **options: Any
    ) -> None:
        self._batch_size = whole_number("batch_size", batch_size, 1)
        self._model = _load(model, options)
        self.name = name or model
        self.dim = int(self._model.embedding_size)

    def encode_documents(self, texts: Sequence[str]) -> list[Rows]:
        """One (n, dim) float32 array of unit rows per text; n >= 1."""
        given = as_list(texts)
        if not given:
            return []
        encoded = self._model.embed(given, batch_size=self._batch_size)
        return never_empty(as_rows(encoded, self.dim), given, self.encode_queries)

    def encode_queries(self, texts: Sequence[str]) -> list[Rows]:
        """One (m, dim) float32 array of unit rows per text."""
        return as_rows(self._model.query_embed(as_list(texts)), self.dim)


def _load(model: str, options: dict[str, Any]) -> LateInteractionTextEmbedding:
    try:
        return LateInteractionTextEmbedding(model, **options)
    # fastembed raises ValueError for unknown models and for files it cannot get; ONNX Runtime has
    # exceptions of its own for files that are no model.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise PathError(f"{model}: no model that fastembed can load ({reason})") from error
