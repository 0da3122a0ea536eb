"""Databases: opening, writing, reading, maintenance."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from mvdb import arguments, encoding, options, settings, shield, streaming
from mvdb.catalogue.ids import Id
from mvdb.errors import ClosedError, CorruptionError, ReadOnlyError
from mvdb.index import checking, generations, manifest, sizes
from mvdb.index.budget import Budget
from mvdb.index.manifest import Manifest
from mvdb.index.prefetching import Prefetcher
from mvdb.index.state import State, StateCache
from mvdb.index.writing import IndexWriter
from mvdb.maintenance import Maintenance
from mvdb.options import Options
from mvdb.querypool import QueryPool
from mvdb.reading import Readable
from mvdb.settings import Settings
from mvdb.snapshot import Snapshot
from mvdb.storage.environment import Environment, ReadTransaction, WriteTransaction
from mvdb.transaction import MetadataInput, Texts, Transaction
from mvdb.types import InsertProgress, Report, Stats
from mvdb.workers import BUILDING

Progress = Callable[[str], None]


def open(
    path: str | os.PathLike[str],
    *,
    dim: int | None = None,
    bits: int = settings.DEFAULT_BITS,
    readonly: bool = False,
    create: bool = True,
    encoder: Any = None,
    durability: str = "full",
    map_size: int | None = None,
    allow_encoder_mismatch: bool = False,
    prefetch: str = "hint",
    background: bool = True,
    memory: int | None = None,
) -> Database:
    """Opens the database in the file `path`, creating it when it is not there.

    Args:
        path: one file. While it is open for writing there is a second, `path + "-lock"`.
        dim: dimensions of a token vector, 1..4096; needed to create (or taken from the encoder),
            later checked when given.
        bits: bits per dimension of a residual, 1, 2, 4 or 8, fixed at creation and later checked
            when given; 16 keeps float16 vectors and searches them exactly.
        readonly: refuse writes; opens read-only files and media and writes no lock file.
        create: False: a missing file is an error.
        encoder: an object with `encode_documents`, `encode_queries`, `dim` and `name`
            (`mvdb.encoders`); lets texts stand for vectors.
        durability: "full": a commit that has returned survives power loss. "relaxed": a crash of
            the system may lose the last commits, never the consistency.
        map_size: bytes of address space to reserve at least; grows by itself.
        allow_encoder_mismatch: use `encoder` though the vectors in the file come from another one.
        prefetch: how searches ask for what they will need from the file: "hint" tells the system,
            "read" has threads read it (where hints are ignored), "off" leaves it to page faults.
        background: keep the index in order in a thread of its own, after commits and, where they
            left something to do, some seconds after opening; False leaves all but small merges to
            `optimize`.
        memory: bytes that the process's own tables may take, centroids apart: what queries keep,
            and what building works in; at least 32 MiB, default 768 MiB. The file's pages in
            memory are the system's and not counted.

    Raises:
        PathNotFoundError: no such file, and create is False or readonly True; no such folder.
        PathError: the system refuses the path otherwise.
        DimensionMismatch: the file has another `dim`.
        FormatError: not an mvdb file, a directory, or made by a newer mvdb or an unlike machine.
        CorruptionError: damaged.
        InvalidInputError: the file has other `bits`, or an argument cannot be; the message names
            it. ":memory:" and "" are refused: a database is a file.
    """
    opening = options.check(
        path,
        dim=dim,
        bits=bits,
        readonly=readonly,
        create=create,
        encoder=encoder,
        durability=durability,
        map_size=map_size,
        allow_encoder_mismatch=allow_encoder_mismatch,
        prefetch=prefetch,
        background=background,
        memory=memory,
    )

    database = shield.run(lambda: _open(opening), Database.close)
    if database.encoder_problem is not None:
        warnings.warn(database.encoder_problem, stacklevel=2)
    return database


def _open(opening: Options) -> Database:
    def initialise(txn: WriteTransaction) -> None:
        settings.store(txn, opening.for_new_file())
        manifest.store(txn, Manifest())

    environment = Environment.open(
        opening.path,
        readonly=opening.readonly,
        create=opening.create and not opening.readonly,
        initialise=initialise,
        check=checking.check_small_tables,
        durability=opening.durability,
        map_size=opening.map_size,
    )
    try:
        return Database(environment, opening)
    except BaseException:
        environment.close()
        raise


class Database(Readable):
    """An open database; made by `mvdb.open`.

    A context manager. Safe to use from many threads: any number of readers and one writer at a
    time, which readers never wait for. Other processes may have the same file open. A handle, its
    snapshots and transactions belong to the process that opened it: pickling or copying them raises
    TypeError, using them after `os.fork()` in the child ClosedError; the other process opens the
    file anew."""

    def __init__(self, environment: Environment, opening: Options) -> None:
        self._environment = environment
        self._path = Path(environment.path)
        self._process = os.getpid()
        self._encoder = opening.encoder
        self._readonly = opening.readonly
        self._budget = Budget(opening.memory)
        self._queries = QueryPool(self._budget.queries)
        self._prefetcher = Prefetcher(opening.prefetch)
        self._lock = threading.Lock()
        self._closed = False
        with environment.read() as txn:
            stored = settings.load(txn)
            identity = encoding.load(txn)
        if identity is not None and identity.dim != stored.dim:
            raise CorruptionError(
                f"{environment.path}: encoder of {identity.dim} dimensions, the settings say "
                f"{stored.dim}; run mvdb.repair"
            )
        self.encoder_problem = self._encoder.mismatch(identity)
        """Why the encoder does not go with the file, or None."""
        opening.check_stored(stored)
        self.dim = stored.dim
        self.bits = stored.bits
        self._cache = StateCache(stored)
        self.new_writer = partial(
            _new_writer, self._cache, stored, str(self._path.absolute().parent), self._budget
        )
        """Makes the index side of a write transaction."""
        self._maintenance = Maintenance(
            environment,
            self._cache,
            self.new_writer,
            self._budget,
            in_background=opening.background and not opening.readonly,
        )
        self._maintenance.opened()

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
        return self._path

    @property
    def readonly(self) -> bool:
        """Whether this handle refuses writes."""
        return self._readonly

    def close(self) -> None:
        """Closes the file; waits for calls of other threads that are under way. Harmless when done
        twice. Everything else raises ClosedError afterwards."""
        if self._in_own_process():
            shield.run(self._close)
        else:
            self._closed = True  # locks that other threads held when the process was forked stay so

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._maintenance.stop()
        self._environment.close()
        self._cache.clear()

    def _in_own_process(self) -> bool:
        return os.getpid() == self._process

    def _check_process(self) -> None:
        if not self._in_own_process():
            raise ClosedError(
                f"{self.path}: opened before fork(), by another process; in this one open the file "
                f"anew: mvdb.open({str(self.path)!r})"
            )

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise ClosedError(f"{self.path}: the database is closed; open it again")

    def _check_writable(self) -> None:
        self._check_open()
        if self._readonly:
            raise ReadOnlyError(f"{self.path}: opened with readonly=True; open it without to write")

    @contextmanager
    def _reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        self._check_open()
        with self._environment.read() as txn:
            yield txn, self._cache.state(txn)

    # ---- writing ----

    def transaction(self, timeout: float | None = None) -> Transaction:
        """A write transaction, for use as a context manager.

        One writer at a time, across threads and processes: waits for the current one, at most
        `timeout` seconds (None: for ever), then raises BusyError."""
        self._check_writable()
        seconds = arguments.seconds("timeout", timeout)
        return shield.run(lambda: self._begin(seconds), Transaction.rollback)

    def _begin(self, timeout: float | None) -> Transaction:
        with self._maintenance.before_writing(timeout) as left:
            txn = self._environment.write(timeout=left, told=timeout)
        try:
            return Transaction(self, txn, self.new_writer(txn))
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
        self._check_writable()
        encodes = self._encoder.identity is not None
        target = streaming.Target(self.transaction, self._keep_up, self.dim, encodes)
        return streaming.insert_batches(
            target, batches, commit_every=commit_every, progress=progress, total=total
        )

    def _keep_up(self) -> None:
        shield.run(self._maintenance.keep_up)

    # ---- snapshots and numbers ----

    def snapshot(self) -> Snapshot:
        """A context manager for repeatable reads of the present state; it has the reading methods
        of the database."""
        self._check_open()
        txn = self._environment.read()
        try:
            return Snapshot(self, txn, self._cache.state(txn))
        except BaseException:
            txn.close()
            raise

    def stats(self) -> Stats:
        """Numbers about the database; see `Stats`. Takes milliseconds, however large the file:
        no documents are read."""
        self._check_open()
        with self._environment.read() as txn:
            current = manifest.load(txn)
            generation = current.generation
            centroids = generations.centroid_count(txn, generation) if generation else 0
            encoder = encoding.load(txn)
            parts = sizes.by_part(txn)
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
            drift=_drift(current),
            bytes=parts,
            file_bytes=self._environment.size(),
            encoder=None if encoder is None else encoder.name,
            maintenance_error=self._maintenance.error,
        )

    # ---- maintenance ----

    def optimize(self, progress: Progress | None = None) -> None:
        """Trains centroids where due, merges segments and drops deleted documents' data, in steps
        between which others may write; readers never wait.

        Never needed for correct results. `progress` is called with the name of each step."""
        self._check_writable()
        arguments.function("progress", progress)
        work = self._maintenance.work()
        try:
            while (step := shield.run(lambda: next(work, None))) is not None:
                if progress is not None:
                    progress(step)
        finally:
            shield.run(work.close)

    def compact(self, path: str | os.PathLike[str] | None = None) -> None:
        """Rewrites the database to the smallest file: in place, atomically, or to `path`.

        In place needs this to be the only open handle, else BusyError."""
        self._check_open()
        copy = None if path is None else arguments.file_path("path", path)
        if not self._readonly:
            self.optimize()
        if copy is not None:
            self._environment.copy(copy)
            return
        self._check_writable()
        self._cache.clear()
        self._environment.compact()

    def backup(self, path: str | os.PathLike[str]) -> None:
        """A consistent copy of the present state, while readers and a writer go on.

        `path` must not exist; it appears when the copy is complete."""
        self._check_open()
        self._environment.copy(arguments.file_path("path", path))

    def verify(self, deep: bool = True) -> Report:
        """Checks the file's pages, every block's checksum and structure, and that the tables agree;
        never writes. deep=False leaves out vectors, texts and metadata.

        Where the pages are damaged nothing else is looked at: reading them could end the process.
        """
        self._check_open()
        deep = arguments.flag("deep", deep)
        problems = self._environment.page_problems()
        if problems:
            return Report(tuple(f"pages: {problem}" for problem in problems), {}, 0, 0)
        with self._environment.read() as txn:
            return checking.Checker(txn, Settings(self.dim, self.bits), deep=deep).run()


def _new_writer(
    cache: StateCache, stored: Settings, folder: str, budget: Budget, txn: WriteTransaction
) -> IndexWriter:
    # No method: maintenance has it, and a database that nobody holds should go at once.
    return IndexWriter(
        txn,
        cache.state(txn),
        dim=stored.dim,
        bits=stored.bits,
        folder=folder,
        executor=BUILDING,
        budget=budget,
    )


def _drift(current: Manifest) -> float:
    """Mean residual length of what is stored against that at training time."""
    tokens = sum(info.n_tokens for info in current.segments if info.generation)
    if not tokens or not current.trained_residual:
        return 1.0
    total = sum(info.residual_sum for info in current.segments if info.generation)
    return total / tokens / current.trained_residual
