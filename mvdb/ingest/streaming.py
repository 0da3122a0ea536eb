"""Inserting a stream of documents: batches from anywhere, bounded transactions, progress.

After an interruption the same stream is run again: stored documents are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from mvdb.arguments import function, whole_number
from mvdb.documents import ids as id_keys
from mvdb.errors import InvalidInputError
from mvdb.hooks import Cancel, Hooks
from mvdb.ingest.arrow import sources
from mvdb.ingest.arrow.arrow_columns import Converter
from mvdb.ingest.arrow.recognition import is_arrow
from mvdb.ingest.inputs import Documents, Owned
from mvdb.limits import Limits
from mvdb.types import InsertProgress

Report = Callable[[InsertProgress], object]
Stream = Generator[Any, None, None]

COMMIT_EVERY = 10_000
"""Documents per transaction by default."""
_ARGUMENTS = ("ids", "embeddings", "texts", "metadata", "tenant", "sparse")


class Transaction(Protocol):
    """What a stream needs of a write transaction (`mvdb.Transaction`)."""

    @property
    def collects_for_training(self) -> bool: ...
    def __enter__(self) -> Transaction: ...
    def __exit__(self, *details: Any) -> None: ...


@dataclass(frozen=True)
class Target:
    """The database: how a transaction begins, tells which documents it has, and takes others, a
    function to call between two transactions, dimensions, whether texts can be encoded and tenants
    are separated, and limits."""

    begin: Callable[[], Transaction]
    known: Callable[[Any, Documents], list[bool]]
    insert: Callable[[Any, Documents], None]
    between: Callable[[], None]
    dim: int
    encodes: bool
    separates: bool
    limits: Limits


@dataclass(frozen=True)
class _Size:
    """Maximum number of documents in a transaction.

    waits_for_training: the first transaction of an empty database continues until it has the tokens
    for a good training."""

    documents: int
    waits_for_training: bool

    def is_reached(self, txn: Transaction, inserted: int) -> bool:
        """Whether a transaction with so many new documents is to be committed."""
        if inserted < self.documents:
            return False
        return not (self.waits_for_training and txn.collects_for_training)


def insert_batches(
    target: Target,
    batches: Any,
    *,
    tenant: str | None,
    commit_every: int | None,
    progress: Report | None,
    total: int | None,
    cancel: Cancel | None,
) -> int:
    """See `Database.insert_batches`."""
    if commit_every is not None:
        commit_every = whole_number("commit_every", commit_every, 1)
    if total is not None:
        total = whole_number("total", total, 0, what="a number of documents")
    function("progress", progress)
    hooks = Hooks.checked(None, cancel)
    hooks.check()
    counted = progress is not None and total is None
    size = _Size(commit_every or COMMIT_EVERY, waits_for_training=commit_every is None)
    source, count = _open(target, batches, size.documents, counted=counted)
    meter = _Meter(total if count is None else count)
    with closing(_pieces(source, target, tenant, size.documents)) as pieces:
        batch = next(pieces, None)
        while batch is not None:
            with target.begin() as txn:
                batch = _fill(txn, target, batch, pieces, size, meter, hooks.check)
            meter.committed()
            if progress is not None:
                progress(meter.progress())
            hooks.check()
            target.between()
            if batch is None:
                batch = next(pieces, None)  # after the commit: this may take long, or fail
    return meter.inserted


def _fill(
    txn: Transaction,
    target: Target,
    batch: Documents,
    pieces: Iterator[Documents],
    size: _Size,
    meter: _Meter,
    check: Callable[[], None],
) -> Documents | None:
    """Inserts `batch` and further ones until the transaction is full. Batches stay whole, so that a
    failing batch leaves no part of itself. Returns a batch that did not fit, or None."""
    inserted = skipped = 0
    pending: Documents | None = batch
    while pending is not None:
        check()
        new = _new(pending, target.known(txn, pending))
        if inserted and size.is_reached(txn, inserted + len(new) - 1):
            return pending
        if new:
            target.insert(txn, pending.take(new))
        meter.add(len(new), len(pending) - len(new))
        inserted += len(new)
        skipped += len(pending) - len(new)
        # A run of stored documents: end the transaction, so that others may write, and report.
        if size.is_reached(txn, inserted) or (not inserted and skipped >= size.documents):
            return None
        pending = next(pieces, None)
    return None


def _new(documents: Documents, known: list[bool]) -> list[int]:
    """Places of the documents to insert: those whose id is neither in the database, as the
    transaction sees it, nor earlier in the batch. So a stream means the same however it is cut."""
    seen: set[Owned] = set()
    places = []
    for i, one in enumerate(documents.owned_keys()):
        if one not in seen and not known[i]:
            places.append(i)
        seen.add(one)
    return places


# ---- the caller's batches ----


def _open(target: Target, batches: Any, rows: int, *, counted: bool) -> tuple[Stream, int | None]:
    """The caller's batches, or record batches of at most `rows` rows; and their number of documents
    if `counted`, None if unknown."""
    converter = _Converter(target)
    if isinstance(batches, (str, os.PathLike)):
        file = sources.ArrowFile(batches)
        count = file.count() if counted else None
        return converter.all(file.record_batches(rows, target.limits)), count
    if is_arrow(batches):
        count = sources.count(batches) if counted else None
        return converter.all(sources.record_batches(batches, rows, target.limits)), count
    if not isinstance(batches, Iterable):
        raise InvalidInputError(
            "batches: an iterable of batches, Arrow data or the path of a Parquet or Arrow file is "
            f"needed, not {type(batches).__name__}"
        )
    return converter.expand(batches, rows), _count(batches) if counted else None


class _Converter:
    """Arrow data among the batches becomes mappings; everything else passes."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._converter: Converter | None = None  # needs pyarrow

    def all(self, record_batches: Stream) -> Stream:
        """Mappings for record batches."""
        with closing(record_batches) as source:
            for batch in source:
                if self._converter is None:
                    target = self._target
                    self._converter = Converter(
                        target.dim, encodes=target.encodes, separates=target.separates
                    )
                yield self._converter.arguments(batch)

    def expand(self, batches: Iterable[Any], rows: int) -> Stream:
        """Batches that may be Arrow data each."""
        for batch in batches:
            if is_arrow(batch):
                yield from self.all(sources.record_batches(batch, rows, self._target.limits))
            else:
                yield batch


def _count(batches: Iterable[Any]) -> int | None:
    """Documents in a list of batches; None when it is no list or one does not tell."""
    if not isinstance(batches, (list, tuple)):
        return None
    counts = [_count_batch(batch) for batch in batches]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _count_batch(batch: Any) -> int | None:
    if is_arrow(batch):
        return sources.count(batch)
    ids: Any = None
    if isinstance(batch, Mapping):
        ids = batch.get("ids")
    elif _is_row(batch):
        ids = batch[0]
    if ids is None or id_keys.is_single(ids):
        return None if ids is None else 1
    return len(ids) if hasattr(ids, "__len__") else None


def _is_row(batch: Any) -> bool:
    return isinstance(batch, tuple) and 1 <= len(batch) <= len(_ARGUMENTS)


def _pieces(
    source: Stream, target: Target, tenant: str | None, size: int
) -> Generator[Documents, None, None]:
    """Batches; one with more than `size` documents in several of that size. tenant: of those that
    name none."""
    with closing(source):
        for given in source:
            arguments = _arguments(given)
            if arguments.get("tenant") is None:
                arguments["tenant"] = tenant
            batch = Documents.of(**arguments, dim=target.dim, separates=target.separates)
            for start in range(0, max(len(batch), 1), size):
                span = range(start, min(start + size, len(batch)))
                yield batch.take(span)


def _arguments(given: Any) -> dict[str, Any]:
    """Arguments of insert."""
    if _is_row(given):
        given = dict(zip(_ARGUMENTS, given, strict=False))
    if not isinstance(given, Mapping) or "ids" not in given or not set(given) <= set(_ARGUMENTS):
        raise InvalidInputError(
            f"batches: each is a mapping with ids and any of {', '.join(_ARGUMENTS[1:])}, a tuple "
            "of these in this order, or Arrow data"
        )
    return dict(given)


# ---- progress ----


class _Meter:
    """Counts documents and time. Time that went into documents that were there already does not
    count for the rate: they are passed over much faster than others are inserted."""

    def __init__(self, total: int | None) -> None:
        self.inserted = 0
        self._skipped = 0
        self._total = total
        self._start = self._mark = perf_counter()
        self._working = 0.0
        self._committing = False

    def add(self, inserted: int, skipped: int) -> None:
        """A batch was got and handled since the last call."""
        self._lap(inserted > 0)
        self._committing |= inserted > 0
        self.inserted += inserted
        self._skipped += skipped

    def committed(self) -> None:
        """A transaction ended."""
        self._lap(self._committing)
        self._committing = False

    def _lap(self, works: bool) -> None:
        now = perf_counter()
        if works:
            self._working += now - self._mark
        self._mark = now

    def progress(self) -> InsertProgress:
        """Where it stands."""
        return InsertProgress(
            self.inserted,
            skipped=self._skipped,
            total=self._total,
            seconds=perf_counter() - self._start,
            documents_per_second=self.inserted / self._working if self._working else 0.0,
        )
