"""The encoder whose vectors a database holds: one value of the table `meta`, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind

TABLE = "meta"
KEY = b"encoder"
_FIELDS = {"name", "dim", "pooling"}


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes two encoders' vectors comparable."""

    name: str
    dim: int
    pooling: str | None = None


def load(txn: ReadTransaction) -> EncoderIdentity | None:
    """The identity stored in the file."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return None
    body = envelope.unseal(Kind.META, txn.scope + KEY, value, "encoder")
    try:
        return _identity_of(json.loads(bytes(body)))
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"encoder: not readable ({error})") from None


def _identity_of(record: Any) -> EncoderIdentity:
    """ValueError for a record that `store` does not write."""
    fields = record if isinstance(record, dict) else {}
    name, dim, pooling = fields.get("name"), fields.get("dim"), fields.get("pooling")
    if not isinstance(name, str) or not (pooling is None or isinstance(pooling, str)):
        raise ValueError("name and pooling are not texts")
    if type(dim) is not int or not 1 <= dim <= core.MAX_DIM:
        raise ValueError("dim is not a number of dimensions")
    if not fields.keys() <= _FIELDS:
        raise ValueError("it has more than name, dim and pooling")
    return EncoderIdentity(name, dim, pooling)


def store(txn: WriteTransaction, encoder: EncoderIdentity) -> None:
    """Writes the identity."""
    body = json.dumps(asdict(encoder), ensure_ascii=False).encode("utf-8")
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))
