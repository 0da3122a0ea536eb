"""What is fixed when a file is created: dimensions, bits, and whether tenants are separated.

value   dim u32 · bits u32, and u32 1 where tenants are separated: earlier versions, which would
        show the documents of one to all, refuse the longer value
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
_TENANTS = Record("I")  # on disk: frozen


class _NotGiven(int):
    """A default that can be told from the same number given by a caller."""


DEFAULT_BITS = _NotGiven(2)


@dataclass(frozen=True)
class Settings:
    """`dim`: dimensions of a token vector. `bits`: per dimension of a residual; 16: float16.
    `tenants`: whether each document belongs to a tenant."""

    dim: int
    bits: int
    tenants: bool = False


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
    if settings.tenants:
        body += _TENANTS.pack(1)
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))


def load(txn: Values) -> Settings:
    """The settings of a file."""
    value = txn.get(TABLE, KEY)
    if value is None:
        raise CorruptionError("settings: missing")
    body = envelope.unseal(Kind.META, txn.scope + KEY, value, "settings")
    (dim, bits), rest = _LAYOUT.unpack_head(body, "settings")
    tenants = _TENANTS.unpack(rest, "settings: tenants")[0] if len(rest) else 0
    if len(rest) and tenants != 1:
        raise CorruptionError(f"settings: tenants {tenants} is impossible")
    if not 1 <= dim <= core.MAX_DIM or bits not in BITS:
        raise CorruptionError(f"settings: dim {dim} with {bits} bits is impossible")
    return Settings(dim, bits, tenants == 1)
