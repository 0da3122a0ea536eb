"""The index side of a write transaction: pending documents, deletions, flushing, training, merging.

`IndexWriter` changes tables of an open LMDB transaction; committing is its caller's business. All
its changes of the manifest are in memory until `finish`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.documents import id_table
from mvdb.errors import CorruptionError
from mvdb.segment import layout
from mvdb.segment.clustered_writer import OrderedWriter
from mvdb.segment.layout import FLOAT16, SegmentInfo
from mvdb.segment.segment_writer import EncodedDocument, Listing, Sealed, SegmentWriter
from mvdb.state import manifest, tombstones
from mvdb.state.settings import Settings
from mvdb.state.state import State, open_state
from mvdb.storage.environment import WriteTransaction
from mvdb.threads import shield
from mvdb.write import extend_codebook, merge_policy
from mvdb.write import flush as flushing
from mvdb.write.memory_budget import Budget
from mvdb.write.merge import Merge
from mvdb.write.write_buffer import Batch, Pending, PendingDocument

TRAIN_DOCUMENTS = 1000
TRAIN_TOKENS = 100_000
UNTRAINED_FLUSH_TOKENS = 4_000_000
"""Before training a transaction collects up to this many tokens, to train on all of them."""
EXTENDED_AT_ONCE = 1 << 19
"""Tokens up to which the commit that makes more centroids due adds them, in about a second. Of a
larger collection it does so when it alone doubled it: what follows should not wait for the
background."""
TRAINING_SEED = 1


class IndexWriter:
    """One transaction's changes of the index. Used by one thread."""

    def __init__(
        self,
        txn: WriteTransaction,
        base: State,
        *,
        dim: int,
        bits: int,
        folder: str,
        executor: Executor,
        budget: Budget,
    ) -> None:
        self.txn = txn
        self._base = base
        self._manifest = base.manifest
        self._dim = dim
        self._bits = bits
        self.folder = folder
        self._executor = executor
        self._budget = budget
        self._pending: Pending | None = None
        self._deleted: dict[int, list[int]] = {}  # segment id -> rows
        self._state: State | None = base
        self._lookup = base
        self._own_codebook: codebooks.Codebook | None = None  # made by this transaction

    @property
    def next_document(self) -> int:
        """Number of the next document to be added."""
        return self._manifest.next_document

    # ---- documents ----

    def append(
        self,
        keys: Sequence[bytes],
        lengths: core.Numbers,
        vectors: core.Floats,
        stored: Sequence[tuple[bytes | None, bytes | None]],
    ) -> None:
        """Adds documents with new ids: unit vectors (sum of lengths, dim), texts and metadata."""
        first = self._manifest.next_document
        documents = []
        for i, key in enumerate(keys):
            id_table.put(self.txn, key, first + i)
            documents.append(PendingDocument(first + i, key, int(lengths[i]), *stored[i]))
        if self._pending is None:
            self._pending = Pending(self.folder, self._dim, self._budget.pending // 2)
        self._pending.append(documents, vectors)
        self._manifest = replace(
            self._manifest,
            next_document=first + len(keys),
            n_ids=self._manifest.n_ids + len(keys),
        )
        self._state = None
        if self._is_full(self._pending):
            shield.run(self.flush)

    def _is_full(self, pending: Pending) -> bool:
        size = pending.n_tokens * self._dim * 2
        if self._is_trainable():
            return (
                pending.n_tokens > UNTRAINED_FLUSH_TOKENS
                or pending.stored_bytes > UNTRAINED_FLUSH_TOKENS * 32
            )
        return size + pending.stored_bytes > self._budget.pending

    @property
    def collects_for_training(self) -> bool:
        """Whether pending documents wait for more, to train on all of them."""
        return self._pending is not None and self._is_trainable()

    def _is_trainable(self) -> bool:
        return self._manifest.generation == 0 and self._bits != 16

    def delete(self, key: bytes) -> bool:
        """Deletes the document with this id; False when there is none."""
        number = id_table.get(self.txn, key)
        if number is None:
            return False
        id_table.delete(self.txn, key)
        self._manifest = replace(self._manifest, n_ids=self._manifest.n_ids - 1)
        if self._pending is None or not self._pending.drop(number):
            self._mark_deleted(number)
        self._state = None
        return True

    def _mark_deleted(self, number: int) -> None:
        if self._lookup.manifest.segments is not self._manifest.segments:
            # A flush, training or merge of this transaction has changed the segments.
            self._lookup = self._open_state()
        place = self._lookup.locate(number)
        if place is None:
            raise CorruptionError(f"document number {number} has an id but is in no segment")
        segment = self._lookup.segments[place[0]].id
        self._deleted.setdefault(segment, []).append(place[1])

    # ---- flushing ----

    def state(self) -> State:
        """The state with all changes so far, for reading inside the transaction."""
        return self._state or shield.run(self._flushed_state)

    def _flushed_state(self) -> State:
        self.flush()
        self._state = state = self._open_state()
        return state

    def _open_state(self) -> State:
        return open_state(
            self.txn,
            self._manifest,
            Settings(self._dim, self._bits),
            self._base,
            volatile_from=self._base.manifest.next_segment,
        )

    def flush(self) -> None:
        """Brings pending documents and deletions into the tables."""
        self._write_deletions()
        if self._pending is not None:
            if len(self._pending) > 0:
                self._write_pending(self._pending)
            self._pending.close()
            self._pending = None

    def _write_deletions(self) -> None:
        if not self._deleted:
            return
        state = self._open_state()
        infos = list(self._manifest.segments)
        for i, info in enumerate(infos):
            rows = self._deleted.get(info.id)
            if rows is None:
                continue
            before = state.live[i]
            live = np.ones(info.n_documents, bool) if before is None else before.copy()
            live[rows] = False
            tombstones.store(self.txn, info.id, live)
            infos[i] = replace(
                info,
                n_deleted=info.n_deleted + len(rows),
                deleted_tokens=info.deleted_tokens + int(state.segments[i].lengths()[rows].sum()),
            )
        self._manifest = self._manifest.with_segments(infos)
        self._deleted = {}
        self._drop_empty_segments()

    def _drop_empty_segments(self) -> None:
        kept = []
        for info in self._manifest.segments:
            if info.live_documents > 0:
                kept.append(info)
            else:
                self._remove_segment(info)
        self._manifest = self._manifest.with_segments(kept)

    def _remove_segment(self, info: SegmentInfo) -> None:
        self.txn.delete_prefix(layout.TABLE, layout.segment_prefix(info.id))
        self.txn.delete(tombstones.TABLE, layout.segment_prefix(info.id))

    def _write_pending(self, pending: Pending) -> None:
        n_tokens = self._manifest.live_tokens + pending.n_tokens
        n_documents = self._manifest.live_documents + len(pending)
        if self._is_trainable() and (n_documents >= TRAIN_DOCUMENTS or n_tokens >= TRAIN_TOKENS):
            self._train(pending)
            return
        parts = flushing.encode(pending.batches(), self._codec(), self._executor)
        infos = self._write(parts, pending.n_tokens)
        self._manifest = self._manifest.with_segments([*self._manifest.segments, *infos])
        if extend_codebook.is_due(self._manifest):
            before = self._base.manifest.live_tokens
            alone_doubles = n_tokens - before >= before
            if alone_doubles or n_tokens <= EXTENDED_AT_ONCE:
                self._extend_now()

    def _codebook(self) -> codebooks.Codebook | None:
        """The codebook of the current generation; None before training."""
        generation = self._manifest.generation
        if generation == FLOAT16:
            return None
        if self._base.codebook is not None and self._base.manifest.generation == generation:
            return self._base.codebook
        if self._own_codebook is None or self._own_codebook.generation != generation:
            self._own_codebook = codebooks.load(self.txn, generation, self._dim, self._bits)
        return self._own_codebook

    def _codec(self) -> core.Codec | None:
        codebook = self._codebook()
        return None if codebook is None else codebook.codec

    def _write(
        self, parts: Iterable[tuple[list[EncodedDocument], float]], n_tokens: int
    ) -> list[SegmentInfo]:
        """Writes about so many tokens of encoded documents of the current generation."""
        return flushing.write_segments(parts, lambda: self._new_writer(n_tokens), self.store)

    def _new_writer(self, n_tokens: int) -> flushing.Writer:
        """For documents in the order of their numbers."""
        number, listing = self._new_segment(n_tokens)
        if listing is not None:
            return OrderedWriter(number, self._manifest.generation, listing)
        return SegmentWriter(number, self._manifest.generation)

    def _new_segment(self, n_tokens: int) -> tuple[int, Listing | None]:
        """The number of a new segment of about so many tokens, and what it needs if it is to have
        lists."""
        number = self._manifest.next_segment
        self._manifest = replace(self._manifest, next_segment=number + 1)
        codec = self._codec()
        if codec is None or n_tokens < merge_policy.LISTED_TOKENS:
            return number, None
        return number, Listing(codec, self.folder, self._budget.postings)

    # ---- training ----

    def _train(self, pending: Pending | None) -> None:
        """Trains a new generation on all documents and encodes them with it."""
        state = self._open_state()
        everything = range(len(state.segments))

        def batches() -> Iterator[Batch]:
            yield from flushing.stored_batches(state, self.txn, everything)
            if pending is not None:
                yield from pending.batches()

        n_tokens = sum(len(batch.vectors) for batch in batches())
        vectors = (batch.vectors for batch in batches())
        sample = training.draw(vectors, n_tokens, TRAINING_SEED, self._dim, self._budget.sample)
        spec = training.train(sample, self._bits, TRAINING_SEED, self._executor)
        del sample  # the encoding that follows needs the memory
        old = self._manifest
        generation = old.generation + 1
        self._manifest = replace(old, generation=generation, trained_tokens=n_tokens)
        codebooks.store(self.txn, generation, spec, {})
        parts = flushing.encode(batches(), core.Codec(spec), self._executor)
        infos = self._write(parts, n_tokens)
        for info in old.segments:
            self._remove_segment(info)
        if old.generation != FLOAT16:
            codebooks.delete(self.txn, old.generation)
        residual = sum(info.residual_sum for info in infos) / n_tokens
        self._manifest = replace(self._manifest.with_segments(infos), trained_residual=residual)

    @property
    def generation(self) -> int:
        """The current generation of centroids."""
        return self._manifest.generation

    def training_due(self) -> bool:
        """Whether there are no centroids and enough documents to train them on."""
        return self._is_trainable() and (
            self._manifest.live_documents >= TRAIN_DOCUMENTS
            or self._manifest.live_tokens >= TRAIN_TOKENS
        )

    def train(self) -> None:
        """Trains the first generation on what is stored."""
        self._train(None)

    def extend(self, extension: extend_codebook.Extension) -> None:
        """Puts a codec that extends the current one in its place, unless another process was
        first."""
        codebook = self._codebook()
        if codebook is None or codebook.generation != extension.generation:
            return
        generation = self._manifest.generation + 1
        codebooks.store(self.txn, generation, extension.spec, codebook.sizes)
        codebooks.delete(self.txn, codebook.generation)
        self._manifest = replace(
            self._manifest, generation=generation, trained_tokens=extension.live_tokens
        )
        self._state = None

    def _extend_now(self) -> None:
        state = self._open_state()
        self.extend(
            extend_codebook.extended(
                lambda: nullcontext((self.txn, state)), self._executor, self._budget.sample
            )
        )

    # ---- merging ----

    def new_segment(self, n_tokens: int) -> tuple[SegmentWriter, int]:
        """A segment for a merge that leaves about so many tokens, and the bytes of its codes."""
        number, listing = self._new_segment(n_tokens)
        codec = self._codec()
        writer = SegmentWriter(number, self._manifest.generation, listing)
        return writer, 0 if codec is None else codec.code_bytes

    def store(self, parts: list[Sealed]) -> None:
        """Stores parts of a segment."""
        for key, value in parts:
            self.txn.put(layout.TABLE, key, value)

    def publish(self, merge: Merge) -> bool:
        """Puts the merged segment in the place of the old ones; False when these are gone."""
        old = {info.id for info in merge.infos}
        present = [info for info in self._manifest.segments if info.id in old]
        if len(present) < len(old):
            return False
        state = self._open_state()
        info = merge.info()
        left = merge.left_of(state)
        if left is not None:
            tombstones.store(self.txn, info.id, left)
            deleted = ~left
            info = replace(
                info,
                n_deleted=int(deleted.sum()),
                deleted_tokens=int(merge.lengths()[deleted].sum()),
            )
        for one in present:
            self._remove_segment(one)
        kept = [one for one in self._manifest.segments if one.id not in old]
        self._manifest = self._manifest.with_segments([*kept, info])
        self._drop_empty_segments()
        return True

    def _merge(self, indexes: Sequence[int]) -> None:
        """Rewrites neighbouring segments as one, without their deleted documents."""
        state = self._open_state()
        old = [self._manifest.segments[i] for i in indexes]
        writer, code_bytes = self.new_segment(sum(info.live_tokens for info in old))
        reading = nullcontext((self.txn, state))
        merge = Merge(old, writer, code_bytes, lambda: reading, lambda: None)
        for parts in merge.steps():
            self.store(parts)
        writer.close()
        self.publish(merge)

    def finish(self) -> bool:
        """Flushes, merges what is due and writes the manifest; False when nothing has changed."""
        self.flush()
        while (run := self._due()) is not None:
            self._merge(run)
        return self.store_manifest()

    def _due(self) -> list[int] | None:
        """What a commit merges: a little, but whatever it takes when there are very many segments
        because nothing else merges them."""
        is_crowded = len(self._manifest.segments) > manifest.MAX_SEGMENTS // 2
        members = codebooks.members(self.txn, self._manifest.generation)
        return merge_policy.plan(
            self._manifest, members, None if is_crowded else merge_policy.COMMIT_TOKENS
        )

    def store_manifest(self) -> bool:
        """Writes the manifest; False when nothing has changed."""
        if self._manifest == self._base.manifest:
            return False
        manifest.store(self.txn, replace(self._manifest, sequence=self._manifest.sequence + 1))
        return True

    def close(self) -> None:
        """Gives temporary files back."""
        if self._pending is not None:
            self._pending.close()
            self._pending = None
