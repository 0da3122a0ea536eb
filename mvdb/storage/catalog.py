"""The catalog: names and numbers of the collections of a file. One value of the table `meta`.

    value        sequence u64 · next number u32 · collections u32 · that many collections
    collection   number u32 · bytes of the name u16 · name, UTF-8

Collections ascend by number. A number is never given again: what is left of a dropped collection,
in a stale page or in the memory of another process, belongs to no later one. `sequence` grows with
every change, so that salvage can tell the newest of several catalogs. A file that never had a
collection has no such value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mvdb.errors import CorruptionError, InvalidInputError, shown
from mvdb.storage import envelope
from mvdb.storage.format import Kind, Record
from mvdb.storage.invariants import require
from mvdb.storage.key_space import MAX_NUMBER
from mvdb.storage.read_transaction import ReadTransaction
from mvdb.storage.write_transaction import WriteTransaction

TABLE: Final = "meta"
KEY: Final = b"collections"
MAX_NAME_BYTES: Final = 200
MAX_COLLECTIONS: Final = 1 << 16
"""The catalog is read as a whole: at most 13 MiB."""
_WHERE: Final = "collections"

# On disk: frozen.
_HEADER: Final = Record("QII")
_ENTRY: Final = Record("IH")


@dataclass(frozen=True)
class Catalog:
    """Numbers by name. Immutable."""

    sequence: int = 0
    next_number: int = 1
    numbers: Mapping[str, int] = field(default_factory=dict)

    def with_new(self, name: str) -> Catalog:
        """The same with one collection more. Raises InvalidInputError when there are too many."""
        if len(self.numbers) >= MAX_COLLECTIONS or self.next_number > MAX_NUMBER:
            raise InvalidInputError(f"name: a file holds at most {MAX_COLLECTIONS} collections")
        numbers = {**self.numbers, name: self.next_number}
        return Catalog(self.sequence + 1, self.next_number + 1, numbers)

    def without(self, name: str) -> Catalog:
        """The same without a collection."""
        numbers = {other: number for other, number in self.numbers.items() if other != name}
        return replace(self, sequence=self.sequence + 1, numbers=numbers)


def check_name(value: Any) -> str:
    """The name of a collection; InvalidInputError when it cannot be one."""
    if not isinstance(value, str):
        raise InvalidInputError(f"name: a str is needed, not {shown(value)}")
    fault = _fault(value)
    if fault is not None:
        raise InvalidInputError(f"name: {shown(value)} {fault}")
    return str(value)


def _fault(name: str) -> str | None:
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not valid Unicode (lone surrogate)"
    if not 1 <= size <= MAX_NAME_BYTES:
        return f"has {size} UTF-8 bytes; 1 to {MAX_NAME_BYTES} are allowed"
    if not name.isprintable() and any(unicodedata.category(one) == "Cc" for one in name):
        return "has a control character; use letters, digits, spaces and punctuation"
    return None


class CatalogCache:
    """The catalog that was read last, shared by the handles of a file. Thread-safe."""

    def __init__(self) -> None:
        self._newest: tuple[bytes, Catalog] = b"", Catalog()  # one reference: readers take no lock

    def of(self, txn: ReadTransaction) -> Catalog:
        """The catalog that a transaction sees. REQUIRES here and below: a transaction of the
        unnamed collection."""
        value = txn.get(TABLE, KEY)
        # The envelope's header holds the checksum: an equal header is an equal catalog.
        header = b"" if value is None else bytes(value[: envelope.HEADER_BYTES])
        newest = self._newest
        if header != newest[0]:
            self._newest = newest = header, load(txn)
        return newest[1]


def load(txn: ReadTransaction) -> Catalog:
    """The catalog that a transaction sees; an empty one if the file has none."""
    value = txn.get(TABLE, KEY)
    return Catalog() if value is None else unpack(envelope.unseal(Kind.META, KEY, value, _WHERE))


def store(txn: WriteTransaction, catalog: Catalog) -> None:
    """Writes the catalog."""
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, pack(catalog)))


def pack(catalog: Catalog) -> bytes:
    """The bytes of a catalog."""
    parts = [_HEADER.pack(catalog.sequence, catalog.next_number, len(catalog.numbers))]
    for name, number in sorted(catalog.numbers.items(), key=lambda item: item[1]):
        raw = name.encode("utf-8")
        parts += [_ENTRY.pack(number, len(raw)), raw]
    return b"".join(parts)


def unpack(body: memoryview) -> Catalog:
    """The catalog in `body`; CorruptionError when its numbers or names contradict each other."""
    (sequence, next_number, count), rest = _HEADER.unpack_head(body, _WHERE)
    require(count <= MAX_COLLECTIONS, _WHERE, f"{count} collections")
    numbers: dict[str, int] = {}
    previous = 0
    for _ in range(count):
        (number, size), rest = _ENTRY.unpack_head(rest, _WHERE)
        require(len(rest) >= size, _WHERE, "a name is cut")
        name, rest = _name(bytes(rest[:size])), rest[size:]
        require(previous < number < next_number, _WHERE, "numbers do not ascend")
        require(name not in numbers, _WHERE, "a name is there twice")
        numbers[name] = previous = number
    require(len(rest) == 0, _WHERE, f"{len(rest)} bytes too many")
    return Catalog(sequence, next_number, numbers)


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptionError(f"{_WHERE}: a name is not UTF-8") from None
    require(_fault(name) is None, _WHERE, "a name is not allowed")
    return name
