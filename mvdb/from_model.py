"""From a loaded model to a database: `mvdb.from_encoder`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvdb.api.database import Database
from mvdb.api.open import open
from mvdb.errors import InvalidInputError, shown

if TYPE_CHECKING:
    from mvdb.encoders import Encoder


def from_encoder(
    model: Any, path: str | os.PathLike[str], *, name: str | None = None, **options: Any
) -> Database:
    """Opens the database in the file `path` with a loaded model as its encoder; creates the file if
    it does not exist.

    Args:
        model: a `sentence_transformers.MultiVectorEncoder`, or an encoder (`mvdb.encoders`).
        path: one file.
        name: of the model, kept in the file to tell its vectors from those of other models. None:
            the name or the folder that the model was loaded from. Only for a
            `MultiVectorEncoder`; an encoder has its own.
        options: of `mvdb.open`.

    Raises:
        InvalidInputError: `model` is neither, or a model without a name.
        The errors of `mvdb.open`.
    """
    return open(path, encoder=_encoder(model, name), **options)


def _encoder(model: Any, name: str | None) -> Encoder:
    if name is not None and not (isinstance(name, str) and name):
        raise InvalidInputError(f"name: a str that is not empty is needed, not {shown(name)}")
    # Their package is imported at its first use.
    from mvdb.encoders import Encoder

    if isinstance(model, Encoder):
        if name not in (None, model.name):
            raise InvalidInputError(
                f"name: the encoder is called {shown(model.name)}, not {shown(name)}"
            )
        return model
    members = ("encode_document", "encode_query", "get_embedding_dimension")
    if not all(callable(getattr(model, member, None)) for member in members):
        raise InvalidInputError(
            "model: a MultiVectorEncoder of sentence-transformers, or an encoder "
            f"(encode_documents, encode_queries, dim, name) is needed, not {shown(model)}"
        )
    name = name or _name_of(model)
    if not name:
        raise InvalidInputError(
            'name: the model does not tell where it came from; name it, as in name="my-model-1"'
        )
    from mvdb.encoders.sentence import SentenceEncoder

    return SentenceEncoder(model, name=name)


def _name_of(model: Any) -> str:
    """The name of a published model, or the last part of the folder's path, as of a model that
    `mvdb.encoders.load` loads; empty if neither is known."""
    card = getattr(model, "model_card_data", None)
    config = getattr(getattr(model, "transformers_model", None), "config", None)
    known = getattr(card, "base_model", None) or getattr(config, "name_or_path", None) or ""
    folder = Path(known)
    return folder.resolve().name if known and folder.is_dir() else str(known)
