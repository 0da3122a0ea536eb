"""Making, opening and dropping of collections, through the handle of their file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from mvdb.api import open_options
from mvdb.api.engine import Engine
from mvdb.errors import NotFoundError, StorageFullError
from mvdb.state import lexical_identity, manifest, settings
from mvdb.state.lexical_identity import LexicalIdentity
from mvdb.state.manifest import Manifest
from mvdb.state.settings import Settings
from mvdb.storage import catalog
from mvdb.storage.catalog import check_name
from mvdb.storage.environment import WriteTransaction, WriteView
from mvdb.threads import shield


def write_new(txn: WriteTransaction, new: Settings, lexical: LexicalIdentity) -> None:
    """The content of a new file, or of a new collection."""
    settings.store(txn, new)
    if lexical.on:
        lexical_identity.store(txn, lexical)
    manifest.store(txn, Manifest())


def opened(file: Engine, name: Any, dim: Any, bits: Any, encoder: Any) -> Engine:
    """A handle on a collection, which is made if it is not there."""
    name, registry = check_name(name), file.registry
    options = open_options.for_collection(registry.options, dim, bits, encoder)
    file.check_open()
    while True:
        with file.environment.read() as txn:
            if name in registry.catalog(txn).numbers or file.readonly:
                given = None if encoder is None else options.encoder
                options.check_stored(registry.find(txn, name).settings, name)
                return file.of_collection(txn, name, given)
        make = partial(_make, name, options.for_new_file(name))
        shield.run(partial(_commit, file, make))


def _make(name: str, new: Settings, txn: WriteTransaction) -> None:
    present = catalog.load(txn)
    if name in present.numbers:
        return  # another writer was first
    changed = present.with_new(name)
    lexical = replace(lexical_identity.load(txn), since=0)  # as the file's own database
    write_new(WriteView(txn, changed.numbers[name]), new, lexical)
    catalog.store(txn, changed)


def all_of(file: Engine) -> list[Engine]:
    """Handles on all collections, but for the unnamed one."""
    with file.environment.read() as txn:
        return [file.of_collection(txn, name) for name in file.registry.catalog(txn).numbers]


def drop(file: Engine, name: Any) -> None:
    """Removes a collection with all of its documents."""
    name, registry = check_name(name), file.registry
    file.check_writable()
    dropped: list[int] = []

    def remove(txn: WriteTransaction) -> None:
        present = catalog.load(txn)
        if name not in present.numbers:
            raise NotFoundError(f"{file.path}: no collection {name!r} to drop")
        dropped[:] = [present.numbers[name]]
        txn.delete_collection(dropped[0])
        catalog.store(txn, present.without(name))

    shield.run(partial(_commit, file, remove))
    shield.run(lambda: registry.drop(dropped[0]))


def _commit(file: Engine, work: Callable[[WriteTransaction], None]) -> None:
    """Runs `work` in a transaction; again in a larger map when the map is full."""
    with file.write(None) as txn:
        while True:
            try:
                work(txn)
                txn.commit()
                return
            except StorageFullError:
                if not txn.full:
                    raise
            txn.begin_again()
