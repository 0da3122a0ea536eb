"""From documents to segments: the deletions and the write buffer of a transaction, flushed.

1. Batches of documents are encoded on all cores, in their order.
2. Their documents are added to a segment, to another one when it would exceed `max_tokens`. A
   segment that is to have posting lists clusters its documents.
3. Deletions become tombstones; segments without live documents are removed (`write_tombstones`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from mvdb import core
from mvdb.documents.value_allowance import Allowance
from mvdb.segment.clustered_writer import ClusteredWriter
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import Document, EncodedDocument, SegmentWriter
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.threads.workers import ordered_map
from mvdb.write.changes import Changes
from mvdb.write.write_buffer import BATCH_TOKENS, Batch

EncodedBatch = tuple[Sequence[EncodedDocument], float]
"""Encoded documents, and the sum of their residuals' norms."""

BATCH_STORED_BYTES = 1 << 24
"""Texts and metadata of a batch of stored documents (one document may have more)."""


def write_tombstones(changes: Changes) -> None:
    """Writes the deletions of documents in segments to the tables."""
    if not changes.deleted:
        return
    state = changes.open_state()
    infos = list(changes.manifest.segments)
    for i, (info, segment, before) in enumerate(
        zip(infos, state.segments, state.live, strict=True)
    ):
        if rows := changes.deleted.get(info.id):
            live = np.ones(info.n_documents, bool) if before is None else before.copy()
            live[rows] = False
            tokens = info.deleted_tokens + segment.total_tokens(np.array(rows, np.uint32))
            infos[i] = changes.with_tombstones(info, live, tokens)
    changes.deleted = {}
    changes.manifest = changes.manifest.with_segments(infos)
    changes.replace_segments((), ())


def write_segments(changes: Changes, batches: Iterable[Batch], n_tokens: int) -> list[SegmentInfo]:
    """Encodes batches of about `n_tokens` in all and writes them as segments; the caller puts these
    into the manifest."""
    codebook = changes.codebook()
    encode = partial(_encode, None if codebook is None else codebook.codec)
    encoded = ordered_map(changes.resources.executor, encode, batches)
    return write_encoded(changes, encoded, n_tokens, changes.manifest.generation)


def write_encoded(
    changes: Changes, batches: Iterable[EncodedBatch], n_tokens: int, generation: int
) -> list[SegmentInfo]:
    """Writes documents that a codebook has encoded, of about `n_tokens` in all, as segments; the
    caller puts these into the manifest."""
    infos: list[SegmentInfo] = []
    writer: SegmentWriter | None = None
    residual_sum = 0.0
    for documents, batch_sum in batches:
        for document in documents:
            if writer and writer.n_tokens + document.n_tokens > changes.limits.max_tokens:
                infos.append(_finish(changes, writer, residual_sum))
                writer, residual_sum = None, 0.0
            writer = writer or _new_writer(changes, n_tokens, generation)
            writer.add(document)
        if writer is not None:
            changes.store(writer.take())
        residual_sum += batch_sum
    if writer is not None:
        infos.append(_finish(changes, writer, residual_sum))
    return infos


def _new_writer(changes: Changes, n_tokens: int, generation: int) -> SegmentWriter:
    number, listing = changes.new_segment(n_tokens)
    limits, weights, words = changes.limits, changes.new_weights(), changes.new_words()
    # Posting lists are those of the present codebook.
    if listing is None or generation != changes.manifest.generation:
        return SegmentWriter(number, generation, limits, weights, words=words)
    return ClusteredWriter(number, generation, limits, weights, listing, words)


def _finish(changes: Changes, writer: SegmentWriter, residual_sum: float) -> SegmentInfo:
    for parts in writer.finish():
        changes.store(parts)
    writer.close()
    return writer.info(residual_sum)


def _encode(codec: core.Codec | None, batch: Batch) -> EncodedBatch:
    """The documents of a batch. codec None: float16 vectors are kept."""
    if codec is None:
        records = batch.vectors.reshape(-1).view(np.uint8)
        return _cut(batch, np.empty(0, np.uint8), records), 0.0
    # Rounding to float16 has changed the lengths of the unit vectors a little.
    vectors, _ = core.normalise(batch.vectors)
    lengths = np.array([document.n_tokens for document in batch.documents], np.uint32)
    codes, records, residual_sum = codec.encode(vectors, lengths)
    return _cut(batch, codes, records), residual_sum


def _cut(batch: Batch, codes: core.Bytes, records: core.Bytes) -> list[EncodedDocument]:
    """The documents of a batch, each with its part of the codes and records of all tokens."""
    n = max(1, len(batch.vectors))
    code_bytes, token_bytes = len(codes) // n, len(records) // n
    all_codes, all_records = codes.tobytes(), memoryview(records.data)
    documents = []
    first = 0
    for document in batch.documents:
        end = first + document.n_tokens
        own_codes = all_codes[first * code_bytes : end * code_bytes]
        record = all_records[first * token_bytes : end * token_bytes]
        documents.append(EncodedDocument(**vars(document), codes=own_codes, record=record))
        first = end
    return documents


# ---- documents that are stored ----


def stored_batches(state: State, txn: ReadTransaction) -> Iterator[Batch]:
    """All live documents with their vectors, reconstructed and rounded to float16."""
    group: list[Document] = []
    vectors: list[core.Floats] = []
    tokens = stored_bytes = 0
    for document, matrix in _stored_documents(state, txn):
        is_full = tokens + len(matrix) > BATCH_TOKENS or stored_bytes > BATCH_STORED_BYTES
        if group and is_full:
            yield Batch(group, np.concatenate(vectors).astype(np.float16))
            group, vectors, tokens, stored_bytes = [], [], 0, 0
        group.append(document)
        vectors.append(matrix)
        tokens += len(matrix)
        stored_bytes += document.stored_bytes
    if group:
        yield Batch(group, np.concatenate(vectors).astype(np.float16))


def _stored_documents(state: State, txn: ReadTransaction) -> Iterator[tuple[Document, core.Floats]]:
    allowance = Allowance()
    for segment, live in zip(state.segments, state.live, strict=True):
        everything = np.arange(len(segment), dtype=np.uint32)
        rows = everything if live is None else everything[live]
        allowance.earn(segment.stored_bytes)
        for row, stored in segment.rows_stored(txn, rows, allowance):
            vectors, number = segment.vectors(txn, row), int(segment.directory.numbers[row])
            key, weights = segment.key(txn, row), segment.stored_weights(txn, row)
            yield Document(number, key, len(vectors), *stored, weights), vectors
