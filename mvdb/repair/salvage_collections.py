"""Salvage of the collections of a damaged file, each as `salvage` describes.

Of all catalogs that the pages still hold, the one with the greatest sequence number tells which
collections there are. If none is left, every number that has an intact manifest counts as a
collection, with a made name; dropped ones may then come back.
"""

from __future__ import annotations

from collections.abc import Iterator

from mvdb.errors import CorruptionError, FormatError
from mvdb.repair.salvage import SalvagedValues, Salvager, Tally
from mvdb.state import manifest
from mvdb.storage import catalog, key_space
from mvdb.storage.catalog import Catalog
from mvdb.storage.environment import WriteTransaction, WriteView
from mvdb.storage.format import Kind
from mvdb.storage.lmdb.sweep_pages import SalvagedFile


def copy_collections(file: SalvagedFile, txn: WriteTransaction, tally: Tally) -> list[str]:
    """Copies all collections that have settings and a manifest left, adding to the tally; the names
    of the others."""
    found = _catalog(file)
    if not found.sequence:
        return []
    recovered, lost = {}, []
    for name, number in found.numbers.items():
        try:
            salvager = Salvager(SalvagedValues(file, key_space.scope_of(number)))
        except (CorruptionError, FormatError):
            lost.append(name)
            continue
        salvager.copy_to(WriteView(txn, number))
        tally.add(salvager.tally)
        recovered[name] = number
    catalog.store(txn, Catalog(found.sequence, found.next_number, recovered))
    return lost


def _catalog(file: SalvagedFile) -> Catalog:
    """The newest catalog; one with made names if none is left, an empty one without collections."""
    newest = max(_catalogs(file), key=lambda one: one.sequence, default=None)
    if newest is not None:
        return newest
    numbers = {
        int.from_bytes(key[1 : key_space.SCOPE_BYTES], "big")
        for key, _ in file.values(Kind.MANIFEST)
        if key.startswith(key_space.MARK) and key[key_space.SCOPE_BYTES :] == manifest.KEY
    }
    numbers = {number for number in numbers if 0 < number < key_space.MAX_NUMBER}
    if not numbers:
        return Catalog()
    return Catalog(1, max(numbers) + 1, {f"collection-{one}": one for one in sorted(numbers)})


def _catalogs(file: SalvagedFile) -> Iterator[Catalog]:
    for body in file.candidates(Kind.META, catalog.KEY):
        try:
            yield catalog.unpack(body)
        except CorruptionError:
            continue
