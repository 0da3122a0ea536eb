"""Published late-interaction models, through ``sentence_transformers.MultiVectorEncoder``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import MultiVectorEncoder

from mvdb.errors import PathError


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
        options: keyword arguments of ``MultiVectorEncoder``: ``device``, ``local_files_only``, ...

    Raises:
        PathError: there is no such model.
        ValueError: the model does not tell its dimension, or a ``MultiVectorEncoder`` came without
            ``name``.
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
        if isinstance(model, (str, os.PathLike)):
            self._model = _load(os.fspath(model), options)
            self.name = name or _name_of(os.fspath(model))
        elif name is not None:
            self._model = model
            self.name = name
        else:
            raise ValueError("a loaded model needs a name: SentenceEncoder(model, name=...)")
        self._batch_size = batch_size
        self._token_pooling = token_pooling
        self.pooling = "none" if token_pooling is None else type(token_pooling).__name__
        dim = self._model.get_embedding_dimension()
        if dim is None:
            raise ValueError(f"the model {self.name} does not tell the dimension of its vectors")
        self.dim = int(dim)

    def encode_documents(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (n, dim) float32 array per text, as long as the model makes its rows; n >= 1."""
        arrays = self._arrays(
            self._model.encode_document(
                _as_list(texts), token_pooling=self._token_pooling, **self._options
            )
        )
        # A mask may leave a document nothing; the query's side of the model masks no token.
        empty = [index for index, array in enumerate(arrays) if not len(array)]
        if empty:
            replaced = self.encode_queries([texts[index] for index in empty])
            for index, array in zip(empty, replaced, strict=True):
                arrays[index] = array
        return arrays

    def encode_queries(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (m, dim) float32 array per text, as long as the model makes its rows."""
        return self._arrays(self._model.encode_query(_as_list(texts), **self._options))

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "batch_size": self._batch_size,
            "convert_to_numpy": True,
            "show_progress_bar": False,
        }

    def _arrays(self, encoded: Any) -> list[NDArray[np.float32]]:
        return [np.asarray(array, dtype=np.float32).reshape(-1, self.dim) for array in encoded]


def _load(model: str, options: dict[str, Any]) -> MultiVectorEncoder:
    try:
        return MultiVectorEncoder(model, **options)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise PathError(f"{model}: no model that can be loaded ({reason})") from error


def _as_list(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts is one str; give a sequence of them")
    return list(texts)


def _name_of(name_or_path: str) -> str:
    path = Path(name_or_path)
    return path.resolve().name if path.is_dir() else name_or_path
