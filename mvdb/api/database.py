"""Databases: writing, reading, maintenance."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from mvdb import arguments
from mvdb.api.engine import Engine
from mvdb.api.readable import Readable
from mvdb.api.snapshot import Snapshot
from mvdb.api.transaction import Transaction, insert_documents
from mvdb.codebook import codebook as codebooks
from mvdb.ingest import streaming
from mvdb.ingest.inputs import MetadataInput, Texts
from mvdb.repair import verify
from mvdb.state import encoder_identity, manifest, statistics
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads import shield
from mvdb.types import Id, InsertProgress, Report, Stats

Progress = Callable[[str], None]


class Database(Readable):
    """An open database; made by `mvdb.open`.

    A context manager. Safe to use from many threads: any number of readers and one writer at a
    time, which readers never wait for. Other processes may have the same file open. A handle, its
    snapshots and transactions belong to the process that opened it: pickling or copying them raises
    TypeError, using them after `os.fork()` in the child ClosedError; the other process opens the
    file anew."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dim = engine.settings.dim
        self.bits = engine.settings.bits

    def __repr__(self) -> str:
        return f"<mvdb.Database {str(self.path)!r} dim={self.dim} bits={self.bits}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._engine.path

    @property
    def readonly(self) -> bool:
        """Whether this handle refuses writes."""
        return self._engine.readonly

    def close(self) -> None:
        """Closes the file; waits for calls of other threads that are under way. Harmless when done
        twice. Everything else raises ClosedError afterwards."""
        self._engine.close()

    def _reading(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        return self._engine.reading()

    # ---- writing ----

    def transaction(self, timeout: float | None = None) -> Transaction:
        """A write transaction, for use as a context manager.

        One writer at a time, across threads and processes: waits for the current one, at most
        `timeout` seconds (None: for ever), then raises BusyError."""
        self._engine.check_writable()
        seconds = arguments.seconds("timeout", timeout)
        return shield.run(lambda: self._begin(seconds), Transaction.rollback)

    def _begin(self, timeout: float | None) -> Transaction:
        txn = self._engine.write(timeout)
        try:
            return Transaction(self._engine, txn)
        except BaseException:
            txn.abort()
            raise

    def insert(
        self,
        ids: Id | Sequence[Id],
        embeddings: Any = None,
        *,
        texts: Texts = None,
        metadata: MetadataInput = None,
    ) -> None:
        """Adds documents, in a transaction of its own.

        Args:
            ids: one id or a sequence; str of 1..500 UTF-8 bytes or 64-bit int. 1 is not "1".
            embeddings: for one id a matrix (n, dim); else a sequence of matrices, a 3-D array, or a
                tuple (flat, lengths) with flat (sum(lengths), dim). Anything with __array__ or
                DLPack on the CPU, in float16, float32, float64 or bfloat16. Rows are brought to
                unit length; zero rows are dropped as padding. None: the texts are encoded.
            texts: stored, and returned with hits.
            metadata: a JSON object per document, to be filtered on; scalars of numpy are taken.

        Raises:
            DuplicateIdError: an id is there already.
            InvalidInputError, DimensionMismatch: naming the document and the row.
            BusyError, ReadOnlyError, ClosedError, StorageFullError, WriteFailedError.
        """
        with self.transaction() as txn:
            txn.insert(ids, embeddings, texts=texts, metadata=metadata)

    def upsert(
        self,
        ids: Id | Sequence[Id],
        embeddings: Any = None,
        *,
        texts: Texts = None,
        metadata: MetadataInput = None,
    ) -> None:
        """Adds documents or replaces them whole (vectors, text and metadata), in a transaction of
        its own. Arguments and errors as for `insert`."""
        with self.transaction() as txn:
            txn.upsert(ids, embeddings, texts=texts, metadata=metadata)

    def delete(self, ids: Id | Sequence[Id]) -> int:
        """Deletes documents, in a transaction of its own; returns how many there were. Unknown ids
        are not an error."""
        with self.transaction() as txn:
            return txn.delete(ids)

    def insert_batches(
        self,
        batches: Any,
        *,
        commit_every: int | None = None,
        progress: Callable[[InsertProgress], object] | None = None,
        total: int | None = None,
    ) -> int:
        """Streams documents in, never holding more than a batch and a transaction's buffers.

        Resumable: documents whose id is there already are skipped, so running the same stream again
        after an interruption goes on where the last commit stood. So is an id that comes again
        within the stream, in the same batch or a later one: the first document counts.

        Args:
            batches: an iterable of batches: mappings with the arguments of `insert` (`ids`,
                `embeddings`, `texts`, `metadata`), tuples of them in this order, or Arrow data. Or
                Arrow data itself: a pyarrow Table, RecordBatch, RecordBatchReader or Dataset, or
                anything with `__arrow_c_stream__`, such as a data frame. Or the path of a
                .parquet, .arrow or .feather file. For the columns see docs/howto-streaming.md.
            commit_every: documents per transaction, at most; a batch with more is divided. Default
                10,000, but the first transaction of an empty database collects 4 million tokens,
                if there are so many, to train better centroids.
            progress: called after each commit, and now and then while documents are skipped.
            total: documents expected, for the progress; taken from the file, the Arrow data or the
                list of batches where they tell.

        Returns the number of documents inserted. Raises as `insert` does, except for ids that
        exist, InvalidInputError for a batch, column or file that is none, and ImportError when
        Arrow data is given and pyarrow is not installed. What was committed stays.
        """
        self._engine.check_writable()
        encodes = self._engine.encoder.identity is not None
        limits = self._engine.limits
        target = streaming.Target(
            self.transaction, insert_documents, self._keep_up, self.dim, encodes, limits
        )
        return streaming.insert_batches(
            target, batches, commit_every=commit_every, progress=progress, total=total
        )

    def _keep_up(self) -> None:
        shield.run(self._engine.maintenance.keep_up)

    # ---- snapshots and numbers ----

    def snapshot(self) -> Snapshot:
        """A context manager for repeatable reads of the present state; it has the reading methods
        of the database."""
        self._engine.check_open()
        txn = self._engine.environment.read()
        try:
            return Snapshot(self._engine, txn, self._engine.cache.state(txn))
        except BaseException:
            txn.close()
            raise

    def stats(self) -> Stats:
        """Numbers about the database; see `Stats`. Takes milliseconds, however large the file:
        no documents are read."""
        self._engine.check_open()
        with self._engine.environment.read() as txn:
            current = manifest.load(txn)
            generation = current.generation
            centroids = codebooks.centroid_count(txn, generation) if generation else 0
            encoder = encoder_identity.load(txn)
            parts = statistics.by_part(txn)
        stored = sum(info.n_tokens for info in current.segments)
        return Stats(
            documents=current.live_documents,
            tokens=current.live_tokens,
            dim=self.dim,
            bits=self.bits,
            segments=len(current.segments),
            centroids=centroids,
            trained_tokens=current.trained_tokens,
            deleted_share=1 - current.live_tokens / stored if stored else 0.0,
            drift=statistics.drift(current),
            bytes=parts,
            file_bytes=self._engine.environment.size(),
            encoder=None if encoder is None else encoder.name,
            maintenance_error=self._engine.maintenance.error,
        )

    # ---- maintenance ----

    def optimize(self, progress: Progress | None = None) -> None:
        """Trains centroids where due, merges segments and drops deleted documents' data, in steps
        between which others may write; readers never wait.

        Never needed for correct results. `progress` is called with the name of each step."""
        self._engine.check_writable()
        arguments.function("progress", progress)
        work = self._engine.maintenance.work()
        try:
            while (step := shield.run(lambda: next(work, None))) is not None:
                if progress is not None:
                    progress(step)
        finally:
            shield.run(work.close)

    def compact(self, path: str | os.PathLike[str] | None = None) -> None:
        """Rewrites the database to the smallest file: in place, atomically, or to `path`.

        In place needs this to be the only open handle, else BusyError."""
        self._engine.check_open()
        copy = None if path is None else arguments.file_path("path", path)
        if not self.readonly:
            self.optimize()
        if copy is not None:
            self._engine.environment.copy(copy)
            return
        self._engine.check_writable()
        self._engine.cache.clear()
        self._engine.environment.compact()

    def backup(self, path: str | os.PathLike[str]) -> None:
        """A consistent copy of the present state, while readers and a writer go on.

        `path` must not exist; it appears when the copy is complete."""
        self._engine.check_open()
        self._engine.environment.copy(arguments.file_path("path", path))

    def verify(self, deep: bool = True) -> Report:
        """Checks the file's pages, every block's checksum and structure, and that the tables agree;
        never writes. deep=False leaves out vectors, texts and metadata.

        Where the pages are damaged nothing else is looked at: reading them could end the process.
        """
        self._engine.check_open()
        deep = arguments.flag("deep", deep)
        problems = self._engine.environment.page_problems()
        if problems:
            return Report(tuple(f"pages: {problem}" for problem in problems), {}, 0, 0)
        with self._engine.environment.read() as txn:
            return verify.Checker(txn, self._engine.settings, deep=deep).run()
