"""Which encoder a command works with: ``--encoder``, or the one that comes with mvdb."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

HELP = (
    "encoder of texts: a model's name or folder, or MODULE:FUNCTION, a function without arguments "
    "that returns an encoder object (default: the one that comes with mvdb[text])"
)


class Encoder(Protocol):
    """What the commands need of an encoder. It may also have `document_tokens(text)`, the span of
    characters of each row that `encode_documents` returns; with it, `search` marks words."""

    dim: int
    name: str

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Any]: ...

    def encode_queries(self, texts: Sequence[str]) -> Sequence[Any]: ...


class EncoderError(Exception):
    """No encoder, or not the one that the file's vectors come from."""


def load_encoder(choice: str | None) -> Encoder:
    """The encoder that `choice` (the value of ``--encoder``) names.

    Raises:
        EncoderError: it cannot be loaded."""
    if choice and _FACTORY.fullmatch(choice) and not Path(choice).exists():
        return _from_factory(choice)
    try:
        from mvdb import encoders

        encoder: Encoder = encoders.load(choice) if choice else encoders.default()
    except ImportError as error:
        hint = "install mvdb[text], or name an encoder of your own with --encoder MODULE:FUNCTION"
        raise EncoderError(f"no encoder ({error}): {hint}") from error
    return encoder


def _from_factory(choice: str) -> Encoder:
    module, _, function = choice.partition(":")
    try:
        encoder: Encoder = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise EncoderError(f"--encoder {choice}: {error}") from error
    for name in ("encode_documents", "encode_queries", "dim", "name"):
        if not hasattr(encoder, name):
            raise EncoderError(f"--encoder {choice}: what it returns has no {name}")
    return encoder


def check_encoder(encoder: Encoder, kept: str | None, file: object) -> None:
    """Refuses an encoder other than the one whose name `file` keeps.

    The name is never loaded from the file itself: a file may come from a stranger."""
    if kept is not None and kept != encoder.name:
        raise EncoderError(
            f"{file} was made with the encoder {kept!r}, not {encoder.name!r}: "
            "name that one with --encoder"
        )
