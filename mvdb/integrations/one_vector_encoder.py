"""Embeddings of one vector per text as an encoder: each text has a single row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = Sequence[float]

_MODEL_FIELDS = ("model", "model_name", "model_id", "deployment", "repo_id")
"""Where the embeddings of the frameworks keep the name of their model."""


class OneVectorEncoder:
    """An `mvdb.encoders.Encoder` made of two functions of another library.

    The cosine of two vectors is their MaxSim then, in -1..1."""

    def __init__(
        self,
        model: object,
        embed_texts: Callable[[list[str]], Sequence[Vector]],
        embed_query: Callable[[str], Vector],
        dim: int | None = None,
    ) -> None:
        """model: the object that embeds, which names the vectors. dim: of its vectors; None: a word
        is embedded to find out."""
        self._embed_texts = embed_texts
        self._embed_query = embed_query
        self._dim = dim
        kind = type(model).__name__
        names = (getattr(model, field, None) for field in _MODEL_FIELDS)
        given = next((name for name in names if isinstance(name, str) and name), None)
        self.name = kind if given is None else f"{kind}:{given}"

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        if self._dim is None:
            self._dim = len(self._embed_query("dimensions"))
        return self._dim

    def encode_documents(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        """A matrix (1, dim) per text."""
        return [np.asarray([vector]) for vector in self._embed_texts(list(texts))]

    def encode_queries(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        """A matrix (1, dim) per text."""
        return [np.asarray([self._embed_query(text)]) for text in texts]
