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
_OPTIONAL = ("revision", "prefix")
"""Fields that are written only when the encoder has them."""
_FIELDS = {"name", "dim", "pooling", *_OPTIONAL}


@dataclass(frozen=True)
class EncoderIdentity:
    """What makes two encoders' vectors comparable."""

    name: str
    dim: int
    pooling: str | None = None
    revision: str | None = None
    prefix: str | None = None

    def agrees(self, other: EncoderIdentity) -> bool:
        """Whether the vectors go together: all that both tell is equal. An absent revision or
        prefix is unknown; files of earlier versions have none."""
        mine, others = asdict(self), asdict(other)
        return all(
            mine[field] == others[field]
            or (field in _OPTIONAL and None in (mine[field], others[field]))
            for field in mine
        )

    def __str__(self) -> str:
        optional = {field: value for field in _OPTIONAL if (value := getattr(self, field))}
        rest = "".join(f", {field} {value}" for field, value in optional.items())
        return f"{self.name!r} (dim {self.dim}, pooling {self.pooling}{rest})"


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
    optional = {field: fields[field] for field in _OPTIONAL if field in fields}
    texts = [name, *optional.values(), *([] if pooling is None else [pooling])]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("name, pooling, revision and prefix are not texts")
    if type(dim) is not int or not 1 <= dim <= core.MAX_DIM:
        raise ValueError("dim is not a number of dimensions")
    if not fields.keys() <= _FIELDS:
        raise ValueError("it has more than name, dim, pooling, revision and prefix")
    return EncoderIdentity(str(name), dim, pooling, **optional)


def store(txn: WriteTransaction, encoder: EncoderIdentity) -> None:
    """Writes the identity."""
    record = {
        field: value
        for field, value in asdict(encoder).items()
        if field not in _OPTIONAL or value is not None
    }
    body = json.dumps(record, ensure_ascii=False).encode("utf-8")
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))
