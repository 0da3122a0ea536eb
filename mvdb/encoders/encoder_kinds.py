"""The kinds of models, and which of them a name means: rules 2 to 4 of `mvdb.encoders.load`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from mvdb.encoders.protocol import Encoder
from mvdb.encoders.requirements import require
from mvdb.errors import InvalidInputError, shown

_KINDS = {
    "sentence-transformers": ("torch", "sentence", "SentenceEncoder"),
    "pylate": ("pylate", "pylate_encoder", "PylateEncoder"),
    "fastembed": ("fastembed", "fastembed_encoder", "FastembedEncoder"),
    "onnx": ("onnx", "onnx_folder", "OnnxEncoder"),
}
"""Extra, module and class of each kind."""
KINDS = tuple(_KINDS)
"""The kinds that a name of :func:`load` can begin with, as in ``"pylate:MODEL"``."""


def kind_of(name: str) -> tuple[str, str]:
    """The kind that a name means, and the model without the kind's prefix."""
    if not isinstance(name, str) or not name:
        raise InvalidInputError(f"name_or_path: a name or folder is needed, not {shown(name)}")
    prefix, separator, model = name.partition(":")
    if separator and prefix in _KINDS:
        if not model:
            raise InvalidInputError(f"name_or_path: {shown(name)} names no model after the colon")
        return prefix, model
    return ("onnx" if _has_onnx_model(name) else "sentence-transformers"), name


def _has_onnx_model(name: str) -> bool:
    try:
        folder = Path(name)
        return any(folder.glob("*.onnx")) and not (folder / "modules.json").exists()
    except (OSError, ValueError):  # no path at all: the library says so
        return False


def load_kind(name: str, options: dict[str, Any]) -> Encoder:
    """The encoder of a name that is not the default's."""
    kind, model = kind_of(name)
    extra, module, class_name = _KINDS[kind]
    require(extra)
    encoder: Encoder = getattr(importlib.import_module(f"mvdb.encoders.{module}"), class_name)(
        model, **options
    )
    return encoder
