"""Salvage: copies the documents of a damaged database that verify into a new one.

1. Of all manifests that the pages still hold, the one with the greatest sequence number tells which
   segments are live.
2. The id table gives keys for segments whose own list of ids is damaged, and with the segments the
   greatest document number of each id: a document with another number was replaced or deleted.
3. Codebooks are copied once each. A segment is lost when its directory or its codebook is.
4. Of each segment every live document is copied whose record has its checksum, whose codes are
   within the codebook, and whose key is known. Codes and residuals are copied as they are stored:
   nothing is encoded again. A damaged block of texts costs texts and metadata only. The words of
   the texts are indexed anew. Learned weights are copied if the term index of the segment verifies
   as a whole; of a part of it nobody could tell which documents lack weights.
5. Damaged tombstones bring deleted documents back, but for those that step 2 excludes.
6. The tenants of these documents keep their names (salvage_tenants.py).
7. The new manifest lists the segments written; without the newest codebook the new file begins
   untrained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvdb import core
from mvdb.codebook import codebook as codebooks
from mvdb.documents import id_table, texts
from mvdb.documents import ids as id_keys
from mvdb.errors import CorruptionError, FormatError
from mvdb.hooks import Hooks
from mvdb.lexical.term_index import TermIndex
from mvdb.limits import Limits
from mvdb.repair.salvage_tenants import copy_tenants
from mvdb.segment import layout
from mvdb.segment.layout import FLOAT16, Part, SegmentInfo
from mvdb.segment.segment import Segment
from mvdb.segment.segment_writer import EncodedDocument, Sealed, SegmentWriter
from mvdb.segment.weight_writer import StoredWeights, WeightWriter
from mvdb.state import encoder_identity, lexical_identity, manifest, settings, tombstones
from mvdb.state.lexical_identity import LexicalIdentity
from mvdb.state.manifest import Manifest
from mvdb.state.state import open_segment
from mvdb.storage import envelope, key_space
from mvdb.storage.environment import WriteTransaction
from mvdb.storage.format import Kind
from mvdb.storage.lmdb.sweep_pages import SalvagedFile

REPORT_DOCUMENTS = 1024
"""Documents between two reports of progress."""
WORD_BYTES = 64 << 20
"""Words of a segment, and its learned weights, that are collected before they are written."""
_KINDS = {codebooks.TABLE: Kind.CENTROIDS, settings.TABLE: Kind.META}


class SalvagedValues:
    """The intact values of one collection of a damaged file, in the place of a read transaction."""

    def __init__(self, file: SalvagedFile, scope: bytes) -> None:
        self._file = file
        self.scope = scope

    def get(self, table: str, key: bytes) -> memoryview | None:
        """As `ReadTransaction.get`."""
        kind = layout.KINDS[Part(key[8])] if table == layout.TABLE else _KINDS[table]
        return self._file.get(table, self.scope + key, kind)

    def candidates(self, kind: Kind, key: bytes) -> Iterator[memoryview]:
        """Every intact body of this kind under this key; newer and older ones in no order."""
        return self._file.candidates(kind, self.scope + key)

    def bodies(self, kind: Kind) -> Iterator[tuple[bytes, memoryview]]:
        """Every intact body of this kind, with its key."""
        for key, body in self._file.values(kind):
            if key_space.is_in(self.scope, key):
                yield key[len(self.scope) :], body

    def whole(self, table: str, key: bytes) -> memoryview | None:
        """As `ReadTransaction.whole`."""
        return self.get(table, key)

    def values(self, table: str, keys: Sequence[bytes]) -> list[memoryview | None]:
        """As `ReadTransaction.values`."""
        return [self.get(table, key) for key in keys]


@dataclass
class Tally:
    """Numbers of recovered and lost documents, and of recovered documents whose texts, or learned
    weights, are lost."""

    recovered: int = 0
    lost: int = 0
    texts_lost: int = 0
    weights_lost: int = 0

    def add(self, other: Tally) -> None:
        """Adds the numbers of another collection."""
        self.recovered += other.recovered
        self.lost += other.lost
        self.texts_lost += other.texts_lost
        self.weights_lost += other.weights_lost


def newest_manifest(found: SalvagedValues) -> Manifest:
    """The manifest with the greatest sequence number. Raises FormatError when none is left."""
    manifests: list[Manifest] = []
    for body in found.candidates(Kind.MANIFEST, manifest.KEY):
        try:
            manifests.append(manifest.unpack(body))
        except CorruptionError:
            continue
    if not manifests:
        raise FormatError("no intact manifest is left; nothing tells which documents are live")
    return max(manifests, key=lambda one: one.sequence)


class Salvager:
    """Finds the newest state of a collection of a damaged file and copies its documents that
    verify. Raises FormatError when no manifest is left, CorruptionError when the settings are
    damaged."""

    def __init__(self, found: SalvagedValues, folder: str, hooks: Hooks) -> None:
        """folder: for temporary files. hooks: are told of documents."""
        self._hooks = hooks
        self._folder = folder
        self._txn = found
        self._settings = stored = settings.load(found)
        self._dim = stored.dim
        self._lexical = self._lexical_identity()
        self.tally = Tally()
        self._tenants: set[int | None] = set()
        self.manifest = newest_manifest(found)
        self._keys = self._keys_by_number()
        self._newest = self._newest_numbers()

    def _lexical_identity(self) -> LexicalIdentity:
        """How words are indexed; without a lexical index when that is not known any more."""
        try:
            return lexical_identity.load(self._txn)
        except CorruptionError:
            return lexical_identity.OFF

    def _keys_by_number(self) -> dict[int, bytes]:
        """Ids from the id table, for segments whose own list of ids is damaged."""
        keys: dict[int, bytes] = {}
        for key, body in self._txn.bodies(Kind.ID):
            if len(body) == 8:
                keys[int.from_bytes(body, "little")] = key
        return keys

    def _newest_numbers(self) -> dict[bytes, int]:
        """The greatest document number of each id. A document with another number was replaced,
        whatever damaged tombstones say."""
        newest: dict[bytes, int] = {}
        for number, key in self._keys.items():
            newest[key] = max(number, newest.get(key, 0))
        for info in self.manifest.segments:
            self._hooks.check()
            try:
                segment = Segment(self._txn, info, None, 0, self._dim)
            except CorruptionError:
                continue
            for row, number in enumerate(segment.directory.numbers.tolist()):
                found = self._key(segment, row, number)
                if found is not None:
                    newest[found] = max(number, newest.get(found, 0))
        return newest

    def copy_to(self, txn: WriteTransaction) -> None:
        """Writes everything that verifies into a new, empty collection."""
        settings.store(txn, self._settings)
        self._copy_meta(txn, encoder_identity.KEY)
        result = replace(self.manifest, sequence=1, n_ids=0, segments=())
        total = self.manifest.live_documents
        self._hooks.report(0, total)
        infos: list[SegmentInfo] = []
        open_codebooks: dict[int, codebooks.Codebook | None] = {}
        newest = self._codebook(txn, result.generation, open_codebooks)
        for info in self.manifest.segments:
            codebook = self._codebook(txn, info.generation, open_codebooks)
            writer: SegmentWriter | None = None
            before = self.tally.recovered
            if codebook is not None or info.generation == FLOAT16:
                for document in self._documents(info, codebook):
                    # Codes keep their width: the segment keeps its codebook.
                    writer = writer or self._writer(info)
                    writer.add(document)
                    _store(txn, writer.take())
                    id_table.put(txn, document.key, document.number)
                    self._tenants.add(id_keys.tenant_number(document.key))
                    self.tally.recovered += 1
                    if self.tally.recovered % REPORT_DOCUMENTS == 0:
                        self._hooks.report(self.tally.recovered, total)
            recovered = self.tally.recovered - before
            self.tally.lost += max(0, info.live_documents - recovered)
            if writer is not None:
                for parts in writer.finish():
                    _store(txn, parts)
                writer.close()
                infos.append(writer.info(info.residual_sum * recovered / info.n_documents))
        if newest is None:
            # Without its centroids the file is untrained, like a new one.
            result = replace(result, generation=FLOAT16, trained_tokens=0, trained_residual=0.0)
        if self._settings.tenants:
            copy_tenants(
                self._txn.bodies(Kind.TENANT),
                txn,
                {one for one in self._tenants if one is not None},
            )
        result = replace(result.with_segments(infos), n_ids=self.tally.recovered)
        manifest.store(txn, result)
        self._store_lexical(txn)
        self._hooks.report(self.tally.recovered, total)

    def _writer(self, info: SegmentInfo) -> SegmentWriter:
        words = None
        if self._lexical.fault is None:
            words = lexical_identity.new_words(self._lexical, self._folder, WORD_BYTES)
        weights = WeightWriter(self._folder, WORD_BYTES)
        return SegmentWriter(info.id, info.generation, Limits(), weights, words=words)

    def _store_lexical(self, txn: WriteTransaction) -> None:
        """All segments are current, or none if this process cannot index their texts."""
        lexical = self._lexical
        if lexical.on:
            since = 0 if lexical.fault is None else self.manifest.next_segment
            lexical_identity.store(txn, replace(lexical, since=since))

    def _copy_meta(self, txn: WriteTransaction, key: bytes) -> None:
        """Copies an intact value of the table `meta`, if there is one."""
        value = self._txn.get(settings.TABLE, key)
        if value is not None:
            txn.put(settings.TABLE, key, bytes(value))

    def _codebook(
        self,
        txn: WriteTransaction,
        generation: int,
        known: dict[int, codebooks.Codebook | None],
    ) -> codebooks.Codebook | None:
        """The codebook of a number, its tables copied once; None when they are damaged."""
        for codebook in known.values():
            if codebook is not None and generation in codebook.sizes:
                return codebook
        if generation == FLOAT16 or generation in known:
            return None
        known[generation] = None
        try:
            codebook = codebooks.load(
                self._txn, generation, self._settings.dim, self._settings.bits
            )
        except CorruptionError:
            return None
        spec = codebooks.load_spec(self._txn, generation)
        codebooks.store(txn, generation, spec, codebook.extends)
        known[generation] = codebook
        return codebook

    def _documents(
        self, info: SegmentInfo, codebook: codebooks.Codebook | None
    ) -> Iterator[EncodedDocument]:
        try:
            segment = open_segment(self._txn, info, codebook, self._dim)
            inline = segment.has_inline_codes(self._txn)
        except CorruptionError:
            return
        live = tombstones.salvaged(
            self._txn.candidates(Kind.TOMBSTONES, layout.segment_prefix(info.id)), info
        )
        weights, are_lost = self._weights(segment)
        starts, chunks = segment.directory.starts, segment.directory.chunks
        parts: tuple[memoryview, memoryview] | None = None
        opened = -1
        # By row: documents are copied in the order of their numbers.
        for row in range(len(segment)):
            slot = segment.slot(row)
            chunk = int(np.searchsorted(chunks, slot, side="right")) - 1
            if chunk != opened:
                parts, opened = self._chunk(segment, chunk, inline=inline), chunk
            if parts is None or (live is not None and not live[row]):
                continue
            first = int(starts[chunks[chunk]])
            document = self._document(segment, row, slot, first, *parts)
            if document is not None:
                self.tally.weights_lost += are_lost
                stored = None if weights is None else StoredWeights(weights, row)
                yield replace(document, weights=stored)

    def _weights(self, segment: Segment) -> tuple[TermIndex | None, bool]:
        """The learned weights of a segment, None without any; whether they are damaged."""
        has = segment.parts.has
        try:
            index = segment.weights(self._txn)
            if index is not None:
                index.check_all()
            return index, index is None and has(self._txn, Part.WEIGHTS)
        except CorruptionError:
            return None, True

    def _chunk(
        self, segment: Segment, chunk: int, *, inline: bool
    ) -> tuple[memoryview, memoryview] | None:
        """Codes, if they are stored apart, and records."""
        try:
            records = segment.parts.body(self._txn, Part.RECORDS, chunk)
            if segment.codec is None or inline:
                return memoryview(b""), records
            codes = segment.parts.body(self._txn, Part.CODES, chunk)
            core.check_codes(segment.codec, segment.code_bytes, codes)
            return codes, records
        except CorruptionError:
            return None

    def _document(
        self,
        segment: Segment,
        row: int,
        slot: int,
        first: int,
        codes: memoryview,
        records: memoryview,
    ) -> EncodedDocument | None:
        """A document if it verifies; `first` is the first token of the chunk."""
        offset, n = int(segment.directory.starts[slot]) - first, segment.n_tokens(row)
        inline = segment.code_bytes if segment.codec is not None and not codes else 0
        size = segment.token_bytes + inline
        record = records[offset * size : (offset + n) * size]
        number = int(segment.directory.numbers[row])
        checksum = int(segment.directory.checksums[slot])
        key = self._key(segment, row, number)
        if key is None or self._newest[key] != number or envelope.checksum(record) != checksum:
            return None
        if inline:
            codes, record = record[: n * inline], record[n * inline :]
        else:
            codes = codes[offset * segment.code_bytes : (offset + n) * segment.code_bytes]
        try:
            if segment.codec is None:
                core.check_rows(record, segment.dim)
            elif inline:
                core.check_codes(segment.codec, inline, codes)
        except CorruptionError:
            return None
        text, metadata = self._stored(segment, row)
        return EncodedDocument(
            number=number,
            key=key,
            n_tokens=n,
            codes=codes,
            record=record,
            text=text,
            metadata=metadata,
            weights=None,
        )

    def _key(self, segment: Segment, row: int, number: int) -> bytes | None:
        try:
            return segment.key(self._txn, row)
        except CorruptionError:
            return self._keys.get(number)

    def _stored(self, segment: Segment, row: int) -> texts.Stored:
        try:
            return segment.stored(self._txn, row)
        except CorruptionError:
            self.tally.texts_lost += 1
            return None, None


def _store(txn: WriteTransaction, parts: list[Sealed]) -> None:
    for key, value in parts:
        txn.put(layout.TABLE, key, value)
