"""The encoder of a command: the value of ``--encoder``, or the one that comes with mvdb."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from mvdb import encoders
from mvdb.encoders import Encoder

_FACTORY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


def load_encoder(choice: str | None) -> Encoder:
    """The encoder that `choice` (the value of ``--encoder``) names; ValueError says why none."""
    is_model = (choice or "").partition(":")[0] in encoders.KINDS
    factory = None if is_model else _FACTORY.fullmatch(choice or "")
    if choice and factory and not Path(choice).exists():
        try:
            encoder = getattr(importlib.import_module(factory[1]), factory[2])()
        except (ImportError, AttributeError) as error:
            raise ValueError(f"--encoder {choice}: {error}") from error
        if not isinstance(encoder, Encoder):
            members = "encode_documents, encode_queries, dim, name"
            raise ValueError(f"--encoder {choice}: the result is no encoder ({members})")
        return encoder
    try:
        return encoders.load(choice) if choice else encoders.default()
    except ImportError as error:
        other = "or name an encoder of your own with --encoder MODULE:FUNCTION"
        raise ValueError(f"{error}, {other}") from error


def check_encoder(encoder: Encoder, stored: str | None, file: Path) -> None:
    """Refuses an encoder whose name is not `stored`, the one that `file` keeps.

    The stored name alone never loads a model: the file is untrusted, and a model may contain code
    or be fetched from a network."""
    if stored not in (None, encoder.name):
        names = f"{stored!r}, not {encoder.name!r}"
        raise ValueError(f"{file} was made with the encoder {names}; name it with --encoder")
