"""Write transactions: all or nothing, with their own writes visible inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import compress
from typing import Any, TypeVar

from mvdb import arguments
from mvdb.api.engine import Engine
from mvdb.api.joint_changes import JointChanges
from mvdb.api.readable import Readable
from mvdb.api.replay_log import Change
from mvdb.documents import id_table, tenants
from mvdb.documents import ids as id_keys
from mvdb.documents.tenants import Tenant
from mvdb.errors import DuplicateIdError, InvalidInputError, NotFoundError
from mvdb.filters import language
from mvdb.ingest import streaming
from mvdb.ingest.inputs import (
    Documents,
    MetadataInput,
    MetadataUpdates,
    SparseInput,
    TenantInput,
    Texts,
)
from mvdb.ingest.vectors import DocumentVectors
from mvdb.search.allowed import matching_keys
from mvdb.search.options import Filter
from mvdb.state import encoder_identity
from mvdb.state.encoder_identity import EncoderIdentity
from mvdb.state.state import State
from mvdb.storage.catalog import check_name
from mvdb.storage.environment import ReadTransaction
from mvdb.threads.workers import BUILDING
from mvdb.types import Id
from mvdb.write import index_writer
from mvdb.write.changes import Changes
from mvdb.write.metadata_updates import stored_metadata

T = TypeVar("T")

MERGED_AT_ONCE = 256
"""Documents whose present metadata is held."""


class Transaction(Readable):
    """Changes that become visible to others together, or not at all.

    Made by `Database.transaction()`. A context manager, for one thread: the end of the block
    commits, an exception rolls back. `search`, `get` and the other reading methods see the
    transaction's own writes.

    A failed write dooms the transaction, even if the block catches the exception: the commit then
    raises, and no change is kept. In another thread than its own, a transaction raises
    WrongThreadError and changes nothing. A transaction without references is rolled back."""

    def __init__(self, engine: Engine, joint: JointChanges, *, is_outer: bool = True) -> None:
        """is_outer: whether it is the one that was begun, not that of another collection in it."""
        super().__init__(engine)
        self._joint = joint
        self._part = joint.part(engine)
        self._txn = self._part.txn
        self._is_outer = is_outer

    def _leave(self, *, failed: bool) -> None:
        if self._joint.finished or not self._is_outer:
            return
        if failed:
            self.rollback()
        else:
            self.commit()

    @contextmanager
    def _reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        if self._joint.finished:  # hits may outlive their transaction
            with self._engine.reading() as pair:
                yield pair
            return
        self._joint.check_open()
        yield self._txn, self._perform(index_writer.state)

    def __contains__(self, id: object) -> bool:
        # Unlike other reads this needs no segments, so nothing has to be flushed for it.
        if self._joint.finished:
            return super().__contains__(id)
        self._joint.check_open()
        self._named(None)
        try:
            key = id_keys.encode(id)  # type: ignore[arg-type]
        except InvalidInputError:
            return False
        return id_table.get(self._txn, key) is not None

    def _is_undone(self, number: int) -> bool:
        # Later documents get the numbers of documents that were rolled back.
        joint = self._joint
        return joint.finished and not joint.committed and number >= self._part.first_own

    def _write(self) -> AbstractContextManager[None]:
        return self._joint.writing()

    def _change(self, function: Callable[..., T], *arguments: Any) -> T:
        """Makes a change: calls `function`, of the module level, with the changes so far and these
        arguments."""
        result: T = self._joint.change(self._part, Change(function, arguments))
        return result

    def _perform(self, function: Callable[[Changes], T]) -> T:
        """What `function` returns for the changes so far."""
        return self._joint.perform(self._part, function)

    def collection(self, name: str) -> Transaction:
        """The part of this transaction in a collection of the file: a transaction whose methods
        read and write there, and that sees its own writes.

        All parts are committed or rolled back together: by the transaction that was begun, at the
        end of its block. A block of a part ends nothing; `commit` and `rollback` of a part are
        those of the whole. Texts alone are encoded by the encoder that was last given to
        `Database.collection` for this name. Raises NotFoundError for a name that was not there
        when the transaction began, InvalidInputError in a transaction of a collection."""
        self._joint.check_open()
        engine = self._engine.of_collection(self._txn, check_name(name))
        return Transaction(engine, self._joint, is_outer=False)

    # ---- writes ----

    def insert(
        self,
        ids: Id | Sequence[Id],
        embeddings: Any = None,
        *,
        texts: Texts = None,
        metadata: MetadataInput = None,
        tenant: TenantInput = None,
        sparse: SparseInput = None,
    ) -> None:
        """Adds documents; see `Database.insert`."""
        self._store(ids, embeddings, texts, metadata, tenant, sparse, replace=False)

    def upsert(
        self,
        ids: Id | Sequence[Id],
        embeddings: Any = None,
        *,
        texts: Texts = None,
        metadata: MetadataInput = None,
        tenant: TenantInput = None,
        sparse: SparseInput = None,
    ) -> None:
        """Adds documents or replaces them whole; see `Database.upsert`."""
        self._store(ids, embeddings, texts, metadata, tenant, sparse, replace=True)

    def update(
        self,
        ids: Id | Sequence[Id],
        *,
        metadata: MetadataInput,
        merge: bool = False,
        tenant: str | None = None,
    ) -> None:
        """Replaces metadata alone; see `Database.update`."""
        with self._write():
            merge = arguments.flag("merge", merge)
            owner = self._named(tenant)
            updates = MetadataUpdates.of(ids, metadata)
            prefix = tenants.find(self._txn, owner).prefix
            all_keys = [prefix + key for key in updates.keys]
            for name, key in zip(updates.names, all_keys, strict=True):
                if id_table.get(self._txn, key) is None:
                    raise NotFoundError(f"no document has the id {name!r}; upsert adds documents")
            for first in range(0, len(all_keys), MERGED_AT_ONCE):
                span = slice(first, first + MERGED_AT_ONCE)
                keys, wanted = all_keys[span], updates.raw[span]
                if merge:
                    present = self._perform(partial(stored_metadata, keys=keys))
                    merged = updates.merged(present, first)
                    changed = [old != new for old, new in zip(present, merged, strict=True)]
                    keys, wanted = list(compress(keys, changed)), list(compress(merged, changed))
                for key, raw in zip(keys, wanted, strict=True):
                    self._change(index_writer.update, key, raw)

    def delete(
        self,
        ids: Id | Sequence[Id] | None = None,
        *,
        filter: Filter | None = None,
        tenant: str | None = None,
    ) -> int:
        """Deletes documents; see `Database.delete`."""
        with self._write():
            keys = self._keys(ids, filter, tenants.find(self._txn, self._named(tenant)))
            return sum(self._change(index_writer.delete, key) for key in dict.fromkeys(keys))

    def delete_tenant(self, name: str) -> int:
        """Deletes a tenant with all its documents; see `Database.delete_tenant`."""
        with self._write():
            name = tenants.check_name(name, "name")
            tenants.refuse_name(separates=self._engine.settings.tenants)
            return self._change(index_writer.delete_tenant, name)

    def _keys(
        self, ids: Id | Sequence[Id] | None, filter: Filter | None, tenant: Tenant
    ) -> list[bytes]:
        """The keys of these ids, or of the ids of the documents that a filter matches."""
        if ids is not None and filter is None:
            return [tenant.key(name) for name in id_keys.as_list(ids)]
        if filter is not None and ids is None:
            node = language.parse(filter)
            # The state first: it may begin the transaction again.
            state = self._perform(index_writer.state)
            return matching_keys(self._txn, state, node, tenant)
        given = "both were given" if filter is not None else "neither was given"
        raise InvalidInputError(f"delete: either ids or a filter is needed; {given}")

    def _store(
        self,
        ids: Id | Sequence[Id],
        embeddings: Any,
        texts: Texts,
        metadata: MetadataInput,
        tenant: TenantInput,
        sparse: SparseInput,
        *,
        replace: bool,
    ) -> None:
        with self._write():
            given = ids, embeddings, texts, metadata, tenant, sparse
            separates = self._engine.settings.tenants
            documents = Documents.of(*given, dim=self.dim, separates=separates)
            documents.check_distinct()
            self._add(documents, replace=replace)

    def _add(self, documents: Documents, *, replace: bool) -> None:
        stored, weights = documents.stored(), documents.weights()
        vectors = documents.vectors or self._encode(documents)
        self._keep_encoder(vectors.encoder)
        all_keys = self._owned(documents)
        for name, key in zip(documents.names, all_keys, strict=True):
            if replace:
                self._change(index_writer.delete, key)
            elif id_table.get(self._txn, key) is not None:
                raise DuplicateIdError(f"id {name!r} exists already; use upsert to replace it")
        for batch in vectors.batches(documents.names, BUILDING):
            span = slice(batch.first, batch.first + len(batch.lengths))
            documents_of = all_keys[span], batch.lengths, batch.flat, stored[span], weights[span]
            self._change(index_writer.append, *documents_of)

    def _owned(self, documents: Documents) -> list[bytes]:
        """The keys of documents to be written, with their tenants, which are made if new."""
        owned = documents.owned_keys()
        prefixes = {
            name: b"" if name is None else self._change(index_writer.add_tenant, name).prefix
            for name in dict.fromkeys(name for name, _ in owned)
        }
        return [prefixes[name] + key for name, key in owned]

    def _encode(self, documents: Documents) -> DocumentVectors:
        texts, encoder = documents.written(), self._engine.encoder
        if encoder.identity is not None:  # before the work
            encoder.check(encoder.identity, encoder_identity.load(self._txn))
        matrices = encoder.documents(texts) if texts else []
        return DocumentVectors(matrices, self.dim, encoder.identity if texts else None)

    def _keep_encoder(self, identity: EncoderIdentity | None) -> None:
        """Checks the encoder of vectors that are to be stored; the first one is that of the
        database from here on."""
        if identity is None:
            return
        stored = encoder_identity.load(self._txn)
        self._engine.encoder.check(identity, stored)
        if stored is None:
            self._change(_store_encoder, identity)

    @property
    def collects_for_training(self) -> bool:
        """Whether more documents in this transaction would improve the centroids."""
        return index_writer.collects_for_training(self._part.changes)

    # ---- end ----

    def commit(self) -> None:
        """Makes all changes visible and, with durability "full", durable.

        Raises StorageFullError or WriteFailedError when the system cannot write, after rolling the
        transaction back."""
        self._joint.commit()

    def rollback(self) -> None:
        """Undoes all changes. No effect on a finished transaction, nor in a child after
        `os.fork()`."""
        self._joint.rollback()


def _store_encoder(changes: Changes, identity: EncoderIdentity) -> None:
    encoder_identity.store(changes.txn, identity)


def _known_documents(txn: Transaction, documents: Documents) -> list[bool]:
    """Whether the transaction has the id of each of these documents."""
    txn._joint.check_open()
    owned = documents.owned_keys()
    names = dict.fromkeys(name for name, _ in owned)
    prefixes = {name: tenants.find(txn._txn, name).prefix for name in names}
    return [id_table.get(txn._txn, prefixes[name] + key) is not None for name, key in owned]


def _insert_documents(txn: Transaction, documents: Documents) -> None:
    """`Transaction.insert` for canonical documents."""
    with txn._write():
        txn._add(documents, replace=False)


def stream_target(
    engine: Engine, begin: Callable[[], Transaction], between: Callable[[], None]
) -> streaming.Target:
    """A database as a stream of documents sees it."""
    return streaming.Target(
        begin,
        _known_documents,
        _insert_documents,
        between,
        engine.settings.dim,
        engine.encoder.identity is not None,
        engine.settings.tenants,
        engine.limits,
    )
