"""The table of external ids: key of an id -> document number.

key     of the id: see `ids`
value   document number u64

The names of tenants stand behind all ids of the same table: see `tenants`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mvdb.documents import ids
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record

TABLE = "ids"
_NUMBER = Record("Q")  # on disk: frozen


def _number(txn: ReadTransaction, key: bytes, value: memoryview) -> int:
    where = f"id {key[:24]!r}"
    return int(_NUMBER.unpack(envelope.unseal(Kind.ID, txn.scope + key, value, where), where)[0])


def get(txn: ReadTransaction, key: bytes) -> int | None:
    """The document number of an id, or None."""
    value = txn.get(TABLE, key)
    return None if value is None else _number(txn, key, value)


def put(txn: WriteTransaction, key: bytes, number: int) -> None:
    """Sets the document number of an id."""
    txn.put(TABLE, key, envelope.seal(Kind.ID, key, _NUMBER.pack(number)))


def delete(txn: WriteTransaction, key: bytes) -> None:
    """Removes an id."""
    txn.delete(TABLE, key)


def entries(
    txn: ReadTransaction, after: bytes | None = None, prefix: bytes = b""
) -> Iterator[tuple[bytes, int]]:
    """Keys with this prefix and their numbers in id order, from behind `after`."""
    for key, value in txn.iterate(TABLE, start=max(after or b"", prefix)):
        raw = bytes(key)
        if not raw.startswith(prefix) or raw[0] > ids.TENANT:
            return
        if raw != after:
            yield raw, _number(txn, raw, value)
