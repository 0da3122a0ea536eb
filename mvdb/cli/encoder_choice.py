"""The encoder of a command: the value of ``--encoder``, or the one that comes with mvdb."""

from __future__ import annotations

import importlib
import os
import re
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import mvdb
from mvdb import encoders
from mvdb.cli.nearest import did_you_mean
from mvdb.cli.network import OFFLINE, hub_host, is_hub_reachable
from mvdb.encoders import Encoder

_FACTORY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


def load_encoder(choice: str | None) -> Encoder:
    """The encoder that `choice` (the value of ``--encoder``) names; ValueError says why none."""
    is_model = (choice or "").partition(":")[0] in encoders.KINDS
    factory = None if is_model else _FACTORY.fullmatch(choice or "")
    if choice and factory and not Path(choice).exists():
        return _made(choice, factory[1], factory[2])
    try:
        return _loaded(choice) if choice else encoders.default()
    except ImportError as error:
        other = "or name an encoder of your own with --encoder MODULE:FUNCTION"
        raise ValueError(f"{error}, {other}") from error


def _made(choice: str, module: str, function: str) -> Encoder:
    """What a function of a module returns. The module may lie in the working folder; one that is
    installed goes before it."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # and stays: the module may import others later
    try:
        found = importlib.import_module(module)
        make = getattr(found, function, None)
        if make is None:
            near = did_you_mean(function, vars(found))
            raise AttributeError(f"the module {module} has no {function}{near}")
        encoder = make()
    except Exception as error:  # whatever a user's own code raises
        raise ValueError(f"--encoder {choice}: {error or type(error).__name__}") from error
    if not isinstance(encoder, Encoder):
        members = "encode_documents, encode_queries, dim, name"
        raise ValueError(f"--encoder {choice}: the result is no encoder ({members})")
    return encoder


def _loaded(choice: str) -> Encoder:
    """A model by its name. Without a network, only a folder or one that was downloaded before."""
    kind, _, model = choice.partition(":") if ":" in choice else ("", "", choice)
    is_local = choice == encoders.DEFAULT_NAME or kind == "onnx" or Path(model).exists()
    if is_local or os.environ.get(OFFLINE) or is_hub_reachable():
        return encoders.load(choice)
    os.environ[OFFLINE] = "1"
    try:
        with redirect_stderr(StringIO()):  # libraries log what the message below says
            return encoders.load(choice)
    except mvdb.PathError as error:
        raise ValueError(
            f"--encoder {choice}: {hub_host()} cannot be reached, and no such model is here: "
            "neither a folder nor one that was downloaded before"
        ) from error


def check_encoder(encoder: Encoder, stored: str | None, file: Path) -> None:
    """Refuses an encoder whose name is not `stored`, the one that `file` keeps.

    The stored name alone never loads a model: the file is untrusted, and a model may contain code
    or be fetched from a network."""
    if stored not in (None, encoder.name):
        names = f"{stored!r}, not {encoder.name!r}"
        raise ValueError(f"{file} was made with the encoder {names}; name it with --encoder")
