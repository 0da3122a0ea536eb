"""What is fixed when a file is created: dimensions and bits.

value   dim u32 · bits u32
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mvdb import core
from mvdb.arguments import whole_number
from mvdb.errors import CorruptionError, InvalidInputError, shown
from mvdb.storage import envelope
from mvdb.storage.environment import WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.values import Values

TABLE = "meta"
KEY = b"settings"
BITS = (1, 2, 4, 8, 16)
_LAYOUT = Record("II")  # on disk: frozen


class _NotGiven(int):
    """A default that can be told from the same number given by a caller."""


DEFAULT_BITS = _NotGiven(2)


@dataclass(frozen=True)
class Settings:
    """`dim`: dimensions of a token vector. `bits`: per dimension of a residual; 16: float16."""

    dim: int
    bits: int


def check_dim(dim: Any) -> int:
    """Dimensions of a token vector; InvalidInputError when they cannot be."""
    return whole_number("dim", dim, 1, core.MAX_DIM)


def check_bits(bits: Any) -> int:
    """Bits per dimension; InvalidInputError when they cannot be."""
    if isinstance(bits, (int, np.integer)) and not isinstance(bits, bool) and bits in BITS:
        return int(bits)
    raise InvalidInputError(f"bits: one of {', '.join(map(str, BITS))}, not {shown(bits)}")


def store(txn: WriteTransaction, settings: Settings) -> None:
    """Writes the settings of a new file."""
    body = _LAYOUT.pack(settings.dim, settings.bits)
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def load(txn: Values) -> Settings:
    """The settings of a file."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("settings: missing")
    body = envelope.unseal(Kind.META, txn.scope + KEY, value, "settings")
    dim, bits = _LAYOUT.unpack(body, "settings")
    if not 1 <= dim <= core.MAX_DIM or bits not in BITS:
        raise CorruptionError(f"settings: dim {dim} with {bits} bits is impossible")
    return Settings(dim, bits)
