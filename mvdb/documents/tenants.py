"""Tenants: whose documents a call may see and change.

In a database that separates tenants the key of each id begins with the number of the document's
tenant (see `ids`). The numbers are in the table of ids, behind all ids:

key     u8 4, name of the tenant in UTF-8; u8 4 alone: the last number given
value   number u32

A number is given once: a tenant that is deleted and made again has another one. So a value that
outlived its tenant leads to no document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mvdb.documents import id_table
from mvdb.documents import ids as id_keys
from mvdb.errors import CorruptionError, InvalidInputError, StorageFullError, shown
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.values import Values
from mvdb.types import Id

MAX_NAME_BYTES = 500
MAX_NUMBER = 0xFFFF_FFFF
PREFIX = bytes((id_keys.TENANT + 1,))  # on disk: frozen
_NUMBER = Record("I")  # on disk: frozen
_NOBODY = 0
"""The number of no tenant: that of a name that is not in the table."""


@dataclass(frozen=True)
class Tenant:
    """Whose documents a call may see. number: None in a database that does not separate tenants."""

    number: int | None

    @property
    def prefix(self) -> bytes:
        """The first bytes of the keys of its ids."""
        return b"" if self.number is None else id_keys.tenant_prefix(self.number)

    def key(self, id: Id) -> bytes:
        """The key of an id; raises as `ids.encode` does."""
        return self.prefix + id_keys.encode(id)


EVERYONE = Tenant(None)


def check_name(value: Any, name: str = "tenant") -> str:
    """The name of a tenant; InvalidInputError when it cannot be one. name: of the argument."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name}: a str is needed, not {shown(value)}")
    text = str.__str__(value)  # not str(): an enumeration would give its name
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{name}: {shown(text)} is not valid Unicode (lone surrogate)"
        ) from None
    if not 1 <= size <= MAX_NAME_BYTES:
        raise InvalidInputError(
            f"{name}: a name of 1 to {MAX_NAME_BYTES} UTF-8 bytes is needed, not {shown(text)} of "
            f"{size}"
        )
    return text


def agreed(value: Any, *, separates: bool) -> str | None:
    """The name that a call gives, None where tenants are not separated. InvalidInputError for a
    name that is missing or not due."""
    if value is None:
        if separates:
            raise InvalidInputError(
                "tenant: this database separates tenants; name the one that the call is for"
            )
        return None
    name = check_name(value)
    refuse_name(separates=separates)
    return name


def refuse_name(*, separates: bool) -> None:
    """InvalidInputError for a name that was given to a database that does not separate tenants."""
    if not separates:
        raise InvalidInputError(
            "tenant: this database does not separate tenants; leave tenant out, or create one "
            "with mvdb.open(..., tenants=True)"
        )


# ---- the table ----


def check(txn: ReadTransaction, *, separates: bool) -> None:
    """CorruptionError unless all ids have a tenant, or none, as the settings say. Ids without one
    stand before all others, so one entry tells."""
    start = None if separates else bytes((id_keys.TENANT,))
    first = next((bytes(key) for key, _ in txn.iterate(id_table.TABLE, start=start)), None)
    if first is not None and not (separates and first[0] >= id_keys.TENANT):
        has, says = ("no", "each") if separates else ("a", "none")
        raise CorruptionError(f"ids: {first[:24]!r} has {has} tenant, the settings say {says}")


def find(txn: Values, name: str | None) -> Tenant:
    """The tenant of a name, as `agreed` gives it. A name that is not in the table is that of a
    tenant without documents."""
    return EVERYONE if name is None else Tenant(_load(txn, _key(name)) or _NOBODY)


def add(txn: WriteTransaction, name: str) -> Tenant:
    """The tenant of a name; made if it is not there. StorageFullError if all numbers are given."""
    number = _load(txn, _key(name))
    if number is None:
        number = last_number(txn) + 1
        if number > MAX_NUMBER:
            raise StorageFullError(
                f"tenants: all {MAX_NUMBER} numbers have been given; copy the documents into a new "
                "database"
            )
        store(txn, name, number)
        store(txn, "", number)
    return Tenant(number)


def remove(txn: WriteTransaction, name: str) -> None:
    """Removes a name. REQUIRES: the tenant has no documents."""
    txn.delete(id_table.TABLE, _key(name))


def last_number(txn: Values) -> int:
    """The last number given, 0 if none was."""
    return _load(txn, PREFIX) or 0


def entries(txn: ReadTransaction) -> Iterator[tuple[str, int]]:
    """Names and numbers, by name."""
    for key, value in txn.iterate(id_table.TABLE, start=PREFIX):
        raw = bytes(key)
        if raw[:1] != PREFIX:
            return
        if raw != PREFIX:
            yield name_of(raw), _number(txn, raw, value)


def store(txn: WriteTransaction, name: str, number: int) -> None:
    """Sets the number of a name; of the empty name: the last number given."""
    key = _key(name)
    txn.put(id_table.TABLE, key, envelope.seal(Kind.TENANT, key, _NUMBER.pack(number)))


def name_of(key: bytes) -> str:
    """The name of a key; CorruptionError when it has none."""
    try:
        return key[len(PREFIX) :].decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptionError(f"{key[:20].hex()} is not the name of a tenant") from None


def _key(name: str) -> bytes:
    return PREFIX + name.encode("utf-8")


def _load(txn: Values, key: bytes) -> int | None:
    value = txn.get(id_table.TABLE, key)
    return None if value is None else _number(txn, key, value)


def _number(txn: Values, key: bytes, value: memoryview) -> int:
    where = f"tenant {key[1:25]!r}"
    body = envelope.unseal(Kind.TENANT, txn.scope + key, value, where)
    number = int(_NUMBER.unpack(body, where)[0])
    if number == _NOBODY:
        raise CorruptionError(f"{where}: number 0")
    return number
