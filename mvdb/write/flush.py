"""From vectors to segments: encoding of batches on all cores, first training, merging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor

import numpy as np

from mvdb import core
from mvdb.documents.value_allowance import Allowance
from mvdb.segment.clustered_writer import OrderedWriter
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import EncodedDocument, Sealed, SegmentWriter
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads.workers import ordered_map
from mvdb.write.merge_policy import MAX_TOKENS
from mvdb.write.write_buffer import BATCH_TOKENS, Batch, PendingDocument

BATCH_STORED_BYTES = 1 << 24
"""Texts and metadata of a batch of stored documents, at most, unless one document has more."""

Writer = SegmentWriter | OrderedWriter


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
                text=document.text,
                metadata=document.metadata,
            )
        )
        at = end
    return documents


def write_segments(
    parts: Iterable[tuple[list[EncodedDocument], float]],
    new_writer: Callable[[], Writer],
    store: Callable[[list[Sealed]], None],
) -> list[SegmentInfo]:
    """Writes encoded documents as one segment, or several when they exceed what one may hold."""
    infos: list[SegmentInfo] = []
    writer: Writer | None = None
    residual_sum = 0.0
    for documents, part_sum in parts:
        for document in documents:
            if writer is not None and writer.n_tokens + document.n_tokens > MAX_TOKENS:
                infos.append(finish(writer, residual_sum, store))
                writer, residual_sum = None, 0.0
            if writer is None:
                writer = new_writer()
            writer.add(document)
        if writer is not None:
            store(writer.take())
        residual_sum += part_sum
    if writer is not None:
        infos.append(finish(writer, residual_sum, store))
    return infos


def finish(
    writer: Writer, residual_sum: float, store: Callable[[list[Sealed]], None]
) -> SegmentInfo:
    """Writes what is left of a segment."""
    for _ in writer.finish_steps():
        store(writer.take())
    store(writer.take())
    writer.close()
    return writer.info(residual_sum)


def stored_batches(state: State, txn: ReadTransaction, indexes: Iterable[int]) -> Iterator[Batch]:
    """Live documents of some segments with their vectors, reconstructed and rounded to float16."""
    group: list[PendingDocument] = []
    vectors: list[core.Floats] = []
    tokens = stored_bytes = 0
    allowance = Allowance()
    for index in indexes:
        segment, live = state.segments[index], state.live[index]
        everything = np.arange(len(segment), dtype=np.uint32)
        rows = everything if live is None else everything[live]
        allowance.earn(segment.stored_bytes)
        for row, (text, metadata) in segment.rows_stored(txn, rows, allowance):
            matrix = segment.vectors(txn, row)
            is_full = tokens + len(matrix) > BATCH_TOKENS or stored_bytes > BATCH_STORED_BYTES
            if group and is_full:
                yield Batch(group, np.concatenate(vectors).astype(np.float16))
                group, vectors, tokens, stored_bytes = [], [], 0, 0
            number = int(segment.directory.numbers[row])
            key = segment.key(txn, row)
            group.append(PendingDocument(number, key, len(matrix), text, metadata))
            vectors.append(matrix)
            tokens += len(matrix)
            stored_bytes += len(text or b"") + len(metadata or b"")
    if group:
        yield Batch(group, np.concatenate(vectors).astype(np.float16))
