"""Databases: writing, reading, maintenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mvdb import arguments
from mvdb.api.engine import Engine
from mvdb.api.joint_changes import JointChanges
from mvdb.api.snapshot import Snapshot
from mvdb.api.transaction import Transaction, stream_target
from mvdb.api.upkeep import Upkeep
from mvdb.hooks import Cancel
from mvdb.ingest import streaming
from mvdb.ingest.inputs import MetadataInput, SparseInput, TenantInput, Texts
from mvdb.search.options import Filter
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.types import Id, InsertProgress


class Database(Upkeep):
    """An open database; made by `mvdb.open`. A context manager.

    Thread-safe: any number of readers and one writer at a time; readers never wait for the writer.
    Other processes may have the same file open.

    A handle, its snapshots and its transactions belong to the process that opened the file. Another
    process opens the file itself: pickling or copying a handle raises TypeError; use in a child
    after `os.fork()` raises ClosedError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.bits = engine.settings.bits
        self.name = engine.name
        """Of the collection; None for the database that `mvdb.open` gives."""

    def __repr__(self) -> str:
        name = "" if self.name is None else f" collection={self.name!r}"
        return f"<mvdb.Database {str(self.path)!r}{name} dim={self.dim} bits={self.bits}>"

    @property
    def path(self) -> Path:
        """The file."""
        return self._engine.path

    @property
    def readonly(self) -> bool:
        """Whether this handle refuses writes."""
        return self._engine.readonly

    def _leave(self, *, failed: bool) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file with all of its collections, after the end of calls under way in other
        threads. Of a collection: ends this handle alone, the file stays open.

        A second call has no effect. Every other method raises ClosedError afterwards."""
        self._engine.close()

    def _reading(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        return self._engine.reading()

    # ---- writing ----

    def transaction(self, timeout: float | None = None) -> Transaction:
        """Begins a write transaction, a context manager.

        There is one writer at a time, across threads and processes. The call waits for the present
        writer, at most `timeout` seconds (None: without limit), then raises BusyError."""
        self._engine.check_writable()
        seconds = arguments.seconds("timeout", timeout)
        return shield.run(lambda: self._begin(seconds), Transaction.rollback)

    def _begin(self, timeout: float | None) -> Transaction:
        txn = self._engine.write(timeout)
        try:
            return Transaction(self._engine, JointChanges(self._engine, txn))
        except BaseException:
            txn.abort()
            raise

    def encode(self, texts: Sequence[str], *, encoder: Any = None) -> list[Any]:
        """The vectors of documents, by the database's encoder, before they are inserted.

        `insert` and `upsert` of texts alone encode within their transaction, for which other
        writers wait. Given the result of this call as `embeddings`, they do not, and what is
        encoded may be more than the text that is stored: a title above a passage.

        Args:
            texts: of the documents.
            encoder: one that takes the place of the database's in this call (`mvdb.encoders`).

        Returns:
            A list with a matrix (n, dim) for each text. It knows its encoder: inserted, it is
            checked against that of the stored vectors, whose name the first one gives.

        Raises:
            InvalidInputError: there is no encoder; or what is given as one is none.
        """
        self._engine.check_open()
        own = self._engine.encoder
        used = own if encoder is None else own.replaced_by(encoder)
        return used.given_documents(texts)

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
        """Adds documents, in a transaction of its own.

        Args:
            ids: one id or a sequence; str of 1..500 UTF-8 bytes or 64-bit int. 1 is not "1".
            embeddings: for one id a matrix (n, dim); else a sequence of matrices, a 3-D array, or a
                tuple (flat, lengths) with flat (sum(lengths), dim). Anything with __array__ or
                DLPack on the CPU, in float16, float32, float64 or bfloat16. Rows are scaled to
                unit length; zero rows are dropped as padding. None: the texts are encoded.
            texts: stored, and returned with hits.
            metadata: a JSON object per document, for filters; numpy scalars are accepted.
            tenant: to whom the documents belong, where tenants are separated
                (docs/howto-tenants.md): one name for all, or one for each. A str of 1..500 UTF-8
                bytes. Ids are distinct within a tenant.
            sparse: learned sparse vectors (SPLADE, arXiv 2107.05720, and kin), see
                docs/howto-sparse.md: for one id a mapping of terms to weights; else a sequence of
                mappings, None for a document without. A term is a str of at most 64 bytes of UTF-8,
                taken as it is, or an int in 0..2^32-1; 1 is not "1". At most 65,536 terms. A weight
                is in 0..65,280; terms of weight 0 are left out. Weights are stored within 1/256 of
                their value, those below 2^-16 · 129/128 as that.

        Raises:
            DuplicateIdError: the database has a document of an id.
            InvalidInputError, DimensionMismatch: the message names the document and the row.
            BusyError, ReadOnlyError, ClosedError, StorageFullError, WriteFailedError.
        """
        with self.transaction() as txn:
            txn.insert(
                ids, embeddings, texts=texts, metadata=metadata, tenant=tenant, sparse=sparse
            )

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
        """Adds documents or replaces them whole (vectors, text, metadata, sparse vector), in a
        transaction of its own. Arguments and errors as for `insert`."""
        with self.transaction() as txn:
            txn.upsert(
                ids, embeddings, texts=texts, metadata=metadata, tenant=tenant, sparse=sparse
            )

    def update(
        self,
        ids: Id | Sequence[Id],
        *,
        metadata: MetadataInput,
        merge: bool = False,
        tenant: str | None = None,
    ) -> None:
        """Replaces the metadata of documents, in a transaction of its own. Vectors and text stay as
        they are stored, bit for bit: nothing is encoded again.

        Args:
            ids: one id or a sequence.
            metadata: a JSON object for each document, or one for all of them. None, for a document
                or for all: it has no metadata afterwards.
            merge: keep the top-level keys of the present metadata that `metadata` does not name;
                nested objects and lists are replaced whole. A value None is stored as null, and
                None in place of an object changes nothing. To remove a key, update without `merge`:
                with the metadata that `get` returns, less the key.
            tenant: whose documents, where tenants are separated.

        Raises:
            NotFoundError: no document has one of the ids; no document is changed.
            InvalidInputError: a malformed id or metadata, or an id given twice.
            BusyError, ReadOnlyError, ClosedError, StorageFullError, WriteFailedError.
        """
        with self.transaction() as txn:
            txn.update(ids, metadata=metadata, merge=merge, tenant=tenant)

    def delete(
        self,
        ids: Id | Sequence[Id] | None = None,
        *,
        filter: Filter | None = None,
        tenant: str | None = None,
    ) -> int:
        """Deletes the documents with these ids, or those that a filter matches, in a transaction of
        its own; returns the number of deleted documents. tenant: whose documents, where tenants are
        separated.

        Unknown ids are ignored. The filter `{}` matches every document.

        Raises InvalidInputError unless either `ids` or `filter` is given, FilterError for a
        malformed filter."""
        with self.transaction() as txn:
            return txn.delete(ids, filter=filter, tenant=tenant)

    def delete_tenant(self, name: str) -> int:
        """Deletes a tenant with all its documents, in a transaction of its own; returns the number
        of documents. An unknown name is ignored.

        Raises InvalidInputError for a malformed name, and in a database that does not separate
        tenants."""
        with self.transaction() as txn:
            return txn.delete_tenant(name)

    def insert_batches(
        self,
        batches: Any,
        *,
        tenant: str | None = None,
        commit_every: int | None = None,
        progress: Callable[[InsertProgress], object] | None = None,
        total: int | None = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Inserts a stream of documents in several transactions. Memory holds a batch and the
        buffers of a transaction.

        Documents whose id is in the database are skipped. After an interruption the same call
        therefore resumes behind the last commit. A repeated id within the stream is skipped too:
        the first document counts.

        Args:
            batches: an iterable of batches: mappings with the arguments of `insert` (`ids`,
                `embeddings`, `texts`, `metadata`, `tenant`, `sparse`), tuples of them in this
                order, or
                Arrow data. Or Arrow data itself: a pyarrow Table, RecordBatch, RecordBatchReader or
                Dataset, or anything with `__arrow_c_stream__`, such as a data frame. Or the path of
                a .parquet, .arrow or .feather file. For the columns see docs/howto-streaming.md.
            tenant: to whom documents belong that come without a tenant of their own; where tenants
                are separated.
            commit_every: documents per transaction, at most; a larger batch is divided. Default
                10,000, but the first transaction of an empty database collects 4 million tokens,
                if the stream has so many, to train better centroids.
            progress: called after each commit, and after every `commit_every` skipped documents.
            total: documents expected, for the progress; default: the number that the file, the
                Arrow data or the list of batches states.
            cancel: a `threading.Event`, or a function; looked at before each batch. Once it is set,
                or gives a true value, the open transaction is rolled back and CancelledError
                raised.

        Returns the number of documents inserted. Committed transactions stay after an error. Raises
        as `insert` does, but not for ids that exist; InvalidInputError for a malformed batch,
        column or file; ImportError for Arrow data without pyarrow.
        """
        self._engine.check_writable()
        return streaming.insert_batches(
            stream_target(self._engine, self.transaction, self._keep_up),
            batches,
            tenant=None if tenant is None else self._named(tenant),
            commit_every=commit_every,
            progress=progress,
            total=total,
            cancel=cancel,
        )

    def _keep_up(self) -> None:
        shield.run(self._engine.maintenance.keep_up)

    # ---- snapshots ----

    def snapshot(self) -> Snapshot:
        """Begins a snapshot of the present state, a context manager with the reading methods of the
        database."""
        self._engine.check_open()
        txn = self._engine.environment.read()
        try:
            return Snapshot(self._engine, txn, self._engine.cache.state(txn))
        except BaseException:
            txn.close()
            raise
