"""Encoders: text to token vectors.

An encoder is any object with the members of :class:`Encoder`; nothing need be inherited. These come
with mvdb:

- :func:`default`: all-MiniLM-L6-v2 projected to 128 dimensions, on ONNX Runtime, which works
  without torch and without a network (extra ``text``);
- :func:`load`: models of sentence-transformers (extra ``torch``), PyLate (``pylate``) and fastembed
  (``fastembed``), and folders with an exported ColBERT model (``onnx``).

Importing this package imports none of the libraries; they are imported when an encoder is made.
"""

from __future__ import annotations

import os
from typing import Any

from mvdb.encoders.encoder_kinds import KINDS, load_kind
from mvdb.encoders.protocol import DEFAULT_NAME, Encoder
from mvdb.encoders.requirements import require

__all__ = ["DEFAULT_NAME", "KINDS", "Encoder", "default", "load"]


def default(*, threads: int | None = None) -> Encoder:
    """The encoder that needs neither torch nor a network: see
    :class:`mvdb.encoders.minilm.MiniLMEncoder`.

    Args:
        threads: windows of texts that are encoded at the same time, 1 to 1024; ``None``: one for
            each processor that the process may use.

    Raises:
        ImportError: a library of the extra ``text`` is not installed or too old; the message says
            which and what to do.
        InvalidInputError: ``threads`` is out of range.
        PathNotFoundError, CorruptionError: the installed model is incomplete or damaged.
    """
    require("text")
    from mvdb.encoders.minilm import MiniLMEncoder

    return MiniLMEncoder(threads=threads)


def load(name_or_path: str | os.PathLike[str], **options: Any) -> Encoder:
    """The encoder of this name.

    The name says which library loads the model:

    1. :data:`DEFAULT_NAME` is :func:`default`.
    2. ``"KIND:MODEL"`` with a kind of :data:`KINDS` (``sentence-transformers``, ``pylate``,
       ``fastembed``, ``onnx``) is the model of that library; ``onnx:`` is followed by a folder.
    3. A folder with an ONNX model (``*.onnx``) and without ``modules.json`` is of the kind
       ``onnx``.
    4. Anything else is of the kind ``sentence-transformers``: a folder with a saved model, or the
       name of a published one, which is downloaded at first use.

    Args:
        name_or_path: the name or the folder.
        options: settings of the class that loads the kind:
            :class:`mvdb.encoders.sentence.SentenceEncoder` (such as ``backend="onnx"``),
            :class:`mvdb.encoders.pylate_encoder.PylateEncoder`,
            :class:`mvdb.encoders.fastembed_encoder.FastembedEncoder`,
            :class:`mvdb.encoders.onnx_folder.OnnxEncoder`, or of :func:`default`.

    Raises:
        ImportError: a library that the kind needs is not installed or too old; the message says
            which and what to do.
        PathError: there is no such model, or its folder is incomplete.
        InvalidInputError: an option or a file of the model is wrong.
    """
    name = os.fspath(name_or_path)
    if name == DEFAULT_NAME:
        return default(**options)
    return load_kind(name, options)
