"""From vectors to segments: encoding of batches on all cores, first training, merging."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

import numpy as np

from mvdb import core
from mvdb.index.manifest import SegmentInfo
from mvdb.index.pending import BATCH_TOKENS, Batch, PendingDocument
from mvdb.index.segment_writer import EncodedDocument, SegmentWriter
from mvdb.index.state import State
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction

MAX_SEGMENT_TOKENS = 1 << 31
WINDOW = 4
"""Batches in flight while encoding: bounds memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Results in order, with at most WINDOW items in flight."""
    running: deque[Future[Result]] = deque()
    source = iter(items)
    for item in itertools.islice(source, WINDOW):
        running.append(executor.submit(function, item))
    while running:
        result = running.popleft().result()
        for item in itertools.islice(source, 1):
            running.append(executor.submit(function, item))
        yield result


def encode(
    batches: Iterable[Batch], codec: core.Codec | None, executor: Executor
) -> Iterator[tuple[list[EncodedDocument], float]]:
    """Encoded documents of each batch, in order, with the sum of their residual norms. A codec of
    None keeps the float16 vectors."""
    function = _as_float16 if codec is None else _encoder(codec)
    return ordered_map(executor, function, batches)


def _as_float16(batch: Batch) -> tuple[list[EncodedDocument], float]:
    records = batch.vectors.astype("<f2", copy=False).reshape(-1).view(np.uint8)
    return _cut(batch, np.empty(0, np.uint8), records), 0.0


def _encoder(codec: core.Codec) -> Callable[[Batch], tuple[list[EncodedDocument], float]]:
    def run(batch: Batch) -> tuple[list[EncodedDocument], float]:
        # float16 rounding moved the rows off unit length a little.
        vectors, _ = core.normalise(batch.vectors.astype(np.float32))
        lengths = np.array([document.n_tokens for document in batch.documents], np.uint32)
        codes, records, residual_sum = codec.encode(vectors, lengths)
        return _cut(batch, codes, records), residual_sum

    return run


def _cut(batch: Batch, codes: core.Bytes, records: core.Bytes) -> list[EncodedDocument]:
    n = max(1, len(batch.vectors))
    code_bytes, token_bytes = len(codes) // n, len(records) // n
    all_codes, all_records = codes.tobytes(), memoryview(records.data)
    documents = []
    at = 0
    for document in batch.documents:
        end = at + document.n_tokens
        record = all_records[at * token_bytes : end * token_bytes]
        documents.append(
            EncodedDocument(
                number=document.number,
                key=document.key,
                n_tokens=document.n_tokens,
                codes=all_codes[at * code_bytes : end * code_bytes],
                record=record,
                checksum=envelope.checksum(record),
                text=document.text,
                metadata=document.metadata,
            )
        )
        at = end
    return documents


def write_segments(
    parts: Iterable[tuple[list[EncodedDocument], float]], new_writer: Callable[[], SegmentWriter]
) -> list[SegmentInfo]:
    """Writes encoded documents as one segment, or several when they exceed what one can number."""
    infos: list[SegmentInfo] = []
    writer: SegmentWriter | None = None
    residual_sum = 0.0
    for documents, part_sum in parts:
        for document in documents:
            if writer is not None and writer.n_tokens + document.n_tokens > MAX_SEGMENT_TOKENS:
                infos.append(writer.finish(residual_sum))
                writer, residual_sum = None, 0.0
            if writer is None:
                writer = new_writer()
            writer.add(document)
        residual_sum += part_sum
    if writer is not None:
        infos.append(writer.finish(residual_sum))
    return infos


def stored_batches(state: State, txn: ReadTransaction, indexes: Iterable[int]) -> Iterator[Batch]:
    """Live documents of some segments with their vectors, reconstructed and rounded to float16."""
    group: list[PendingDocument] = []
    rows: list[core.Floats] = []
    size = 0
    for index in indexes:
        segment = state.segments[index]
        numbers = segment.directory.numbers
        for document in segment.live_documents(txn, state.live[index]):
            vectors = segment.vectors(txn, int(np.searchsorted(numbers, document.number)))
            if group and size + len(vectors) > BATCH_TOKENS:
                yield Batch(group, np.concatenate(rows).astype(np.float16))
                group, rows, size = [], [], 0
            group.append(
                PendingDocument(
                    document.number,
                    document.key,
                    document.n_tokens,
                    document.text,
                    document.metadata,
                )
            )
            rows.append(vectors)
            size += len(vectors)
    if group:
        yield Batch(group, np.concatenate(rows).astype(np.float16))


def stored_documents(
    state: State, txn: ReadTransaction, indexes: Iterable[int]
) -> Iterator[tuple[list[EncodedDocument], float]]:
    """Live documents of some segments as they are stored, for merging without re-encoding."""
    for index in indexes:
        info = state.manifest.segments[index]
        share = info.live_documents / info.n_documents
        for document in state.segments[index].live_documents(txn, state.live[index]):
            yield [document], 0.0
        yield [], info.residual_sum * share
