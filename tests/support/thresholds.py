"""Lower thresholds, so that small files are trained, flushed and merged like large ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from mvdb.index import layout, merging, pending, segment_writer, writing


@contextmanager
def lowered(
    *,
    train_documents: int = 60,
    flush_bytes: int | None = None,
    base_tokens: int | None = None,
    fanout: int | None = None,
    chunk_bytes: int | None = None,
) -> Iterator[None]:
    """Within the block this process trains at `train_documents` documents, flushes a transaction
    at `flush_bytes` of pending data, and merges `fanout` segments of `base_tokens`.

    Thresholds belong to the process: blocks may be nested, but not overlap in several threads,
    which would restore each other's values."""
    with mock.patch.multiple(writing, TRAIN_DOCUMENTS=train_documents):
        patches = []
        if flush_bytes is not None:
            patches.append(mock.patch.object(writing, "FLUSH_BYTES", flush_bytes))
            patches.append(mock.patch.object(pending, "MEMORY_BYTES", flush_bytes // 2))
        if base_tokens is not None:
            patches.append(mock.patch.object(merging, "BASE_TOKENS", base_tokens))
        if fanout is not None:
            patches.append(mock.patch.object(merging, "FANOUT", fanout))
        if chunk_bytes is not None:
            patches.append(mock.patch.object(layout, "CHUNK_BYTES", chunk_bytes))
            patches.append(mock.patch.object(segment_writer, "CHUNK_BYTES", chunk_bytes))
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()
