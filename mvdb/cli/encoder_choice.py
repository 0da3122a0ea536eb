"""Which encoder a command works with: ``--encoder``, or the one that comes with mvdb."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from mvdb import encoders
from mvdb.encoders import Encoder

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

HELP = (
    "encoder of texts: a model's name or folder, or MODULE:FUNCTION, a function without arguments "
    "that returns an encoder object (default: the one that comes with the extra text)"
)


class EncoderError(Exception):
    """No encoder, or not the one that the file's vectors come from."""


def load_encoder(choice: str | None) -> Encoder:
    """The encoder that `choice` (the value of ``--encoder``) names.

    Raises:
        EncoderError: it cannot be loaded."""
    if choice and _FACTORY.fullmatch(choice) and not Path(choice).exists():
        return _from_factory(choice)
    try:
        return encoders.load(choice) if choice else encoders.default()
    except ImportError as error:
        raise EncoderError(
            f"{error}, or name an encoder of your own with --encoder MODULE:FUNCTION"
        ) from error


def _from_factory(choice: str) -> Encoder:
    module, _, function = choice.partition(":")
    try:
        encoder = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise EncoderError(f"--encoder {choice}: {error}") from error
    if not isinstance(encoder, Encoder):
        raise EncoderError(
            f"--encoder {choice}: what it returns is no encoder (encode_documents, "
            "encode_queries, dim, name)"
        )
    return encoder


def check_encoder(encoder: Encoder, kept: str | None, file: Path) -> None:
    """Refuses an encoder other than the one whose name `file` keeps.

    The kept name is never loaded by itself: a file may come from a stranger, and a model may bring
    code or be fetched from a network."""
    if kept is not None and kept != encoder.name:
        raise EncoderError(
            f"{file} was made with the encoder {kept!r}, not {encoder.name!r}: "
            "name that one with --encoder"
        )
