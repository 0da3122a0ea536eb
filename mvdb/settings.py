"""What is fixed when a file is created: dimensions and bits."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.errors import CorruptionError, InvalidInputError
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TABLE = "meta"
KEY = b"settings"
BITS = (1, 2, 4, 8, 16)
_LAYOUT = struct.Struct("<II")


@dataclass(frozen=True)
class Settings:
    """`dim`: dimensions of a token vector. `bits`: per dimension of a residual; 16: float16."""

    dim: int
    bits: int


def check(dim: int | None, bits: int) -> Settings:
    """Settings for a new file; InvalidInputError when they cannot be."""
    if dim is None:
        raise InvalidInputError("dim is needed to create a database, for example dim=128")
    if isinstance(dim, np.integer):
        dim = int(dim)
    if isinstance(dim, bool) or not isinstance(dim, int) or not 1 <= dim <= core.MAX_DIM:
        raise InvalidInputError(f"dim: a whole number from 1 to {core.MAX_DIM}, not {dim!r}")
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in BITS:
        raise InvalidInputError(f"bits: one of {', '.join(map(str, BITS))}, not {bits!r}")
    return Settings(dim, bits)


def store(txn: WriteTransaction, settings: Settings) -> None:
    """Writes the settings of a new file."""
    body = _LAYOUT.pack(settings.dim, settings.bits)
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def load(txn: ReadTransaction) -> Settings:
    """The settings of a file."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("settings: missing")
    body = envelope.unseal(Kind.META, KEY, value, "settings")
    if len(body) != _LAYOUT.size:
        raise CorruptionError(f"settings: {len(body)} bytes")
    dim, bits = _LAYOUT.unpack(body)
    if not 1 <= dim <= core.MAX_DIM or bits not in BITS:
        raise CorruptionError(f"settings: dim {dim} with {bits} bits is impossible")
    return Settings(dim, bits)
