"""Salvage of the collections of a damaged file, each as `salvage` describes.

Of all catalogs that the pages still hold, the one with the greatest sequence number tells which
collections there are. If none is left, every number that has an intact manifest counts as a
collection, with a made name; dropped ones may then come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mvdb.errors import CorruptionError, FormatError
from mvdb.hooks import Hooks
from mvdb.repair.salvage import SalvagedValues, Salvager, Tally, newest_manifest
from mvdb.state import manifest
from mvdb.storage import catalog, key_space
from mvdb.storage.catalog import Catalog
from mvdb.storage.environment import WriteTransaction, WriteView
from mvdb.storage.format import Kind
from mvdb.storage.lmdb.sweep_pages import SalvagedFile


class FileSalvager:
    """Copies the unnamed collection, which must have settings and a manifest left, and all others
    that have. `tally`: of all; `lost`: the names of the others. Raises as `Salvager` does."""

    def __init__(self, file: SalvagedFile, folder: str, hooks: Hooks) -> None:
        """folder: for temporary files. hooks: are told of documents."""
        self._file = file
        self._folder = folder
        self._hooks = hooks
        self._catalog = _catalog(file)
        numbers = self._catalog.numbers.values()
        self._total = sum(_live_documents(self._values(number)) for number in (0, *numbers))
        self.tally = Tally()
        self.lost: list[str] = []
        self._unnamed = self._salvager(0)

    def copy_to(self, txn: WriteTransaction) -> None:
        """Writes everything that verifies into a new, empty file."""
        self._copy(self._unnamed, txn)
        if not self._catalog.sequence:
            return
        recovered = {}
        for name, number in self._catalog.numbers.items():
            try:
                salvager = self._salvager(number)
            except (CorruptionError, FormatError):
                self.lost.append(name)
                continue
            self._copy(salvager, WriteView(txn, number))
            recovered[name] = number
        catalog.store(txn, replace(self._catalog, numbers=recovered))

    def _values(self, number: int) -> SalvagedValues:
        return SalvagedValues(self._file, key_space.scope_of(number) if number else b"")

    def _salvager(self, number: int) -> Salvager:
        hooks = self._hooks.of_part(self.tally.recovered, self._total)
        return Salvager(self._values(number), self._folder, hooks)

    def _copy(self, salvager: Salvager, txn: WriteTransaction) -> None:
        salvager.copy_to(txn)
        self.tally.add(salvager.tally)


def _live_documents(found: SalvagedValues) -> int:
    try:
        return newest_manifest(found).live_documents
    except FormatError:
        return 0


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
