"""What encoders of other libraries share: texts in, arrays out, names of models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError, PathError

Rows = NDArray[np.float32]


def as_list(texts: Sequence[str]) -> list[str]:
    """The texts; TypeError for one text instead of a sequence."""
    if isinstance(texts, str):
        raise TypeError("texts is one str; give a sequence of them")
    return list(texts)


def as_rows(encoded: Iterable[Any], dim: int) -> list[Rows]:
    """Arrays or tensors as (n, dim) float32."""
    return [np.asarray(array, dtype=np.float32).reshape(-1, dim) for array in encoded]


def never_empty(
    documents: list[Rows], texts: Sequence[str], encode_queries: Callable[[list[str]], list[Rows]]
) -> list[Rows]:
    """Documents whose every token the model drops have the rows that they have as queries."""
    empty = [index for index, rows in enumerate(documents) if not len(rows)]
    if empty:
        replaced = encode_queries([texts[index] for index in empty])
        for index, rows in zip(empty, replaced, strict=True):
            documents[index] = rows
    return documents


def loaded(
    model: Any, name: str | None, load: Callable[[str], Any], encoder: str
) -> tuple[Any, str]:
    """A model and its name in files. model: a name or folder for `load`, or one that is loaded,
    which needs a name. encoder: the class that is made.

    Raises PathError where `load` finds nothing, InvalidInputError without a name."""
    if not isinstance(model, (str, os.PathLike)):
        if name is None:
            raise InvalidInputError(f"name: a loaded model needs one: {encoder}(model, name=...)")
        return model, name
    path = os.fspath(model)
    try:
        return load(path), name or model_name(path)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise PathError(f"{path}: no model that can be loaded ({reason})") from error


def model_name(name_or_path: str) -> str:
    """What a file keeps as the name: a folder's own name (the rest of its path differs from machine
    to machine), or the name as it is."""
    path = Path(name_or_path)
    return path.resolve().name if path.is_dir() else name_or_path


def prefix_text(query: str | None, document: str | None) -> str | None:
    """What a file keeps of a model's prefixes: JSON; None without any."""
    if not query and not document:
        return None
    return json.dumps({"query": query or "", "document": document or ""}, ensure_ascii=False)
