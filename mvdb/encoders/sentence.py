"""Published late-interaction models, through ``sentence_transformers.MultiVectorEncoder``."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from sentence_transformers import MultiVectorEncoder

from mvdb.encoders.encoder_rows import (
    Rows,
    as_list,
    as_rows,
    loaded,
    never_empty,
    prefix_text,
)
from mvdb.errors import InvalidInputError


class SentenceEncoder:
    """A ``MultiVectorEncoder`` as an :class:`mvdb.encoders.Encoder`.

    Prefixes, query expansion, skipped tokens and greatest lengths are the model's own. A text
    longer than its ``document_length`` is cut there by the model: divide long texts before, or
    raise that length.

    Args:
        model: a folder with a saved model, the name of a published one, or a
            ``MultiVectorEncoder``.
        batch_size: texts per forward pass.
        token_pooling: a ``BaseTokenPooling`` of sentence_transformers, applied to documents: fewer
            rows.
        name: kept in database files; by default the model's name, or the last part of its folder's
            path (the rest of it differs from machine to machine). Needed with a
            ``MultiVectorEncoder``.
        options: keyword arguments of ``MultiVectorEncoder``: ``device``, ``local_files_only``,
            ``backend`` (``"torch"``, ``"onnx"`` or ``"openvino"``; those other than torch need
            ``sentence-transformers[onnx]`` or ``[openvino]``), ``revision``, ...

    Raises:
        PathError: there is no such model.
        ImportError: ``backend`` needs a library that is not installed.
        InvalidInputError: the model does not tell its dimension, or a ``MultiVectorEncoder`` came
            without ``name``.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | MultiVectorEncoder,
        *,
        batch_size: int = 32,
        token_pooling: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self._model, self.name = loaded(
            model, name, lambda path: _load(path, options), "SentenceEncoder"
        )
        self._batch_size = batch_size
        self._token_pooling = token_pooling
        self.pooling = "none" if token_pooling is None else type(token_pooling).__name__
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise InvalidInputError(
                f"the model {self.name} does not tell the dimension of its vectors"
            )
        self.dim = int(dim)
        self.revision: str | None = options.get("revision")
        prompts = self._model.prompts
        self.prefix = prefix_text(prompts.get("query"), prompts.get("document"))

    def encode_documents(self, texts: Sequence[str]) -> list[Rows]:
        """One (n, dim) float32 array per text, as long as the model makes its rows; n >= 1."""
        given = as_list(texts)
        encoded = self._model.encode_document(
            given, token_pooling=self._token_pooling, **self._options
        )
        return never_empty(as_rows(encoded, self.dim), given, self.encode_queries)

    def encode_queries(self, texts: Sequence[str]) -> list[Rows]:
        """One (m, dim) float32 array per text, as long as the model makes its rows."""
        return as_rows(self._model.encode_query(as_list(texts), **self._options), self.dim)

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "batch_size": self._batch_size,
            "convert_to_numpy": True,
            "show_progress_bar": False,
        }


def _load(model: str, options: dict[str, Any]) -> MultiVectorEncoder:
    backend = options.get("backend")
    if backend in ("onnx", "openvino") and importlib.util.find_spec("optimum") is None:
        raise ImportError(
            f"backend {backend!r} needs optimum, not installed:"
            f" pip install 'sentence-transformers[{backend}]'"
        )
    return MultiVectorEncoder(model, **options)
