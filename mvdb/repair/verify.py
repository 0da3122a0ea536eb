"""Verification: checksum and structure of every block, agreement of the tables. Never writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from mvdb.codebook import codebook as codebooks
from mvdb.documents import id_table, tenants
from mvdb.documents import ids as id_keys
from mvdb.documents.value_allowance import Allowance
from mvdb.errors import CorruptionError, FormatError
from mvdb.hooks import Hooks
from mvdb.segment import layout
from mvdb.segment.layout import FLOAT16, Part, SegmentInfo
from mvdb.segment.segment import Segment
from mvdb.state import lexical_identity, manifest, relevance_level, tombstones, unpublished
from mvdb.state.manifest import Manifest
from mvdb.state.settings import Settings
from mvdb.state.state import open_segment
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Report

MAX_PROBLEMS = 1000
REPORT_DOCUMENTS = 1024
"""Documents between two reports of progress."""


def check_small_tables(txn: ReadTransaction) -> None:
    """Verifies manifest, ids and tombstones of a file that was not closed cleanly on this machine,
    at its opening. CorruptionError for the first fault."""
    current = manifest.load(txn)
    count = sum(1 for _ in id_table.entries(txn))
    if count != current.n_ids:
        raise CorruptionError(f"ids: {count} entries, the manifest says {current.n_ids}")
    unpublished.load(txn)
    for info in current.segments:
        tombstones.check(txn, info)


class Checker:
    """One run of `verify`."""

    def __init__(self, txn: ReadTransaction, stored: Settings, hooks: Hooks, *, deep: bool) -> None:
        """hooks: are told of documents."""
        self._hooks = hooks
        self._visited = 0  # documents
        self._total = 0
        self._txn = txn
        self._stored = stored
        self._deep = deep
        self._allowance = Allowance()
        self._problems: list[str] = []
        self._blocks: Counter[str] = Counter()
        self._parts: Counter[tuple[int, Part]] = Counter()
        self._documents = 0
        self._tokens = 0
        self._current_sizes: codebooks.Extended = {}
        self._lexical = lexical_identity.OFF
        self._codebooks: dict[int, codebooks.Codebook] = {}

    def run(self) -> Report:
        """Makes all checks; a fault does not end them."""
        with self._noting("manifest"):
            current = manifest.load(self._txn)
            manifest.check_generation(current, self._stored)
            self._lexical = lexical_identity.load_for(self._txn, current)
            self._check(current)
        problems = tuple(self._problems[:MAX_PROBLEMS])
        return Report(problems, dict(self._blocks), self._documents, self._tokens)

    @contextmanager
    def _noting(self, part: str) -> Iterator[None]:
        try:
            yield
            self._blocks[part] += 1
        except (CorruptionError, FormatError) as error:
            self._problems.append(str(error))
            # From Python 3.12 on, contextlib leaves an error that ends here in a cycle with its
            # frames, which hold what was read.
            error.__traceback__ = None

    def _check(self, current: Manifest) -> None:
        known: dict[bytes, int] = {}
        self._total = sum(info.n_documents for info in current.segments)
        if current.generation != FLOAT16:
            with self._noting("generation"):
                self._current_sizes = self._load(current.generation).sizes
        for info in current.segments:
            before = self._visited
            with self._noting("segments"):
                self._check_segment(info, known)
            self._visit(before + info.n_documents)
        with self._noting("ids"):
            self._check_ids(current, known)
        with self._noting("tables"):
            self._check_orphans(current)
            relevance_level.load(self._txn)

    def _visit(self, documents: int) -> None:
        self._visited = documents
        self._hooks.report(documents, self._total)

    def _codebook(self, generation: int) -> codebooks.Codebook:
        """The codebook that encoded a segment: the present one, or another."""
        is_current = generation in self._current_sizes
        return self._load(max(self._current_sizes) if is_current else generation)

    def _load(self, generation: int) -> codebooks.Codebook:
        if generation not in self._codebooks:
            codebook = codebooks.load(self._txn, generation, self._stored.dim, self._stored.bits)
            self._codebooks = {generation: codebook}  # one at a time: they may be large
        return self._codebooks[generation]

    def _check_segment(self, info: SegmentInfo, known: dict[bytes, int]) -> None:
        codebook = None
        if info.generation != FLOAT16:
            codebook = self._codebook(info.generation)
            self._blocks["centroids"] += 1
        segment = open_segment(self._txn, info, codebook, self._stored.dim)
        live = tombstones.load(self._txn, info)
        numbers = segment.directory.numbers
        for row in range(len(segment)):
            if live is None or live[row]:
                known[segment.key(self._txn, row)] = int(numbers[row])
        self._documents += info.live_documents
        self._tokens += self._count_tokens(segment, live, info)
        lists = segment.open_vectors(self._txn).lists
        directory = segment.directory
        chunks = len(directory.chunks) - 1
        codes = chunks if codebook and not segment.has_inline_codes(self._txn) else 0
        self._blocks["codes"] += codes
        extents = 0 if lists is None else lists.n_extents
        words, weights = segment.words(self._txn), segment.weights(self._txn)
        self._parts += Counter(
            {
                (info.id, Part.DIRECTORY): 1,
                (info.id, Part.CODES): codes,
                (info.id, Part.RECORDS): chunks,
                (info.id, Part.IDS): 1,
                (info.id, Part.DOCUMENTS): len(directory.blocks) - 1,
                (info.id, Part.FIELDS): directory.n_fields,
                (info.id, Part.LIST_DIRECTORY): 0 if lists is None else 1,
                (info.id, Part.LISTS): extents,
                (info.id, Part.ORDER): 0 if segment.order is None else 1,
                (info.id, Part.WORD_DIRECTORY): 0 if words is None else 1,
                (info.id, Part.WORDS): 0 if words is None else words.n_extents,
                (info.id, Part.WEIGHT_DIRECTORY): 0 if weights is None else 1,
                (info.id, Part.WEIGHTS): 0 if weights is None else weights.n_extents,
            }
        )
        if self._deep:
            n_texts = self._check_contents(segment)
            with self._noting("words"):
                self._check_words(segment, info, n_texts)
            with self._noting("weights"):
                if weights is not None:
                    weights.check_all()

    def _count_tokens(self, segment: Segment, live: Live | None, info: SegmentInfo) -> int:
        lengths = segment.lengths()
        tokens = int(lengths.sum() if live is None else lengths[live].sum())
        if tokens != info.live_tokens:
            raise CorruptionError(
                f"segment {info.id}: {tokens} live tokens, the manifest says {info.live_tokens}"
            )
        return tokens

    def _check_contents(self, segment: Segment) -> int:
        """Checks vectors, texts and metadata; the number of texts."""
        self._allowance.earn(segment.stored_bytes)
        vectors = segment.open_vectors(self._txn)
        for slot in range(len(segment)):
            with self._noting("records"):
                vectors.check(np.array([slot], np.uint32))
            if slot % REPORT_DOCUMENTS == REPORT_DOCUMENTS - 1:
                self._visit(self._visited + REPORT_DOCUMENTS)
        with self._noting("lists"):
            if vectors.lists is not None:
                vectors.lists.check_all()
        n_texts = 0
        for index in range(len(segment.directory.blocks) - 1):
            self._hooks.check()
            with self._noting("documents"):
                n_texts += segment.verify_block(self._txn, index, self._allowance)
        with self._noting("fields"):
            segment.columns(self._txn).verify()
        return n_texts

    def _check_words(self, segment: Segment, info: SegmentInfo, n_texts: int) -> None:
        words = segment.words(self._txn)
        if words is not None:
            words.check_all()
        elif self._lexical.on and self._lexical.is_current(info) and n_texts:
            raise CorruptionError(f"segment {info.id}: {n_texts} texts without a term index")

    def _check_ids(self, current: Manifest, known: dict[bytes, int]) -> None:
        count = 0
        numbers = self._check_tenants()
        for key, number in id_table.entries(self._txn):
            count += 1
            id_keys.decode(key)
            if id_keys.tenant_number(key) not in numbers:
                self._problems.append(f"id {key[:24]!r} belongs to no tenant of the file")
            if known.get(key) != number:
                self._problems.append(f"id {key[:24]!r} leads to no live document")
        if count != current.n_ids or count != len(known):
            self._problems.append(
                f"ids: {count} entries, {current.n_ids} in the manifest, {len(known)} in segments"
            )

    def _check_tenants(self) -> set[int | None]:
        """The numbers of all tenants, distinct and given; None alone where tenants are not
        separated."""
        numbers: set[int | None] = set()
        count, last = 0, tenants.last_number(self._txn)
        for name, number in tenants.entries(self._txn):
            count += 1
            numbers.add(number)
            if number > last:
                self._problems.append(f"tenant {name[:24]!r}: number {number}, the last is {last}")
        if len(numbers) < count:
            self._problems.append(f"tenants: {count} names of {len(numbers)} numbers")
        if self._stored.tenants:
            return numbers
        if count or last:
            self._problems.append("tenants: names in a file that does not separate tenants")
        return {None}

    def _check_orphans(self, current: Manifest) -> None:
        numbers = {info.id for info in current.segments} | set(unpublished.load(self._txn))
        alive = {layout.segment_prefix(number) for number in numbers}
        self._find_orphans(layout.TABLE, lambda key: key[:8] in alive)
        self._find_orphans(tombstones.TABLE, lambda key: key in alive)
        used = {current.generation, *(info.generation for info in current.segments)}
        used -= set(self._current_sizes) - {current.generation}
        self._find_orphans(codebooks.TABLE, lambda key: int.from_bytes(key[:4], "big") in used)
        self._check_parts()

    def _find_orphans(self, table: str, expected: Callable[[bytes], bool]) -> None:
        count = sum(1 for key, _ in self._txn.iterate(table) if not expected(bytes(key)))
        if count:
            self._problems.append(f"{table}: {count} values belong to nothing (orphans)")

    def _check_parts(self) -> None:
        """Every value of the segments has a known part number, and there are as many of each as the
        directories say. Of segments that could not be read nothing is known."""
        parts = {int(part) for part in Part}
        found: Counter[tuple[int, Part]] = Counter()
        for view, _ in self._txn.iterate(layout.TABLE):
            key = bytes(view)
            if len(key) != 13 or key[8] not in parts:
                self._problems.append(f"segments: key {key.hex()} is none of ours")
            else:
                found[int.from_bytes(key[:8], "big"), Part(key[8])] += 1
        readable = {segment for segment, _ in self._parts}
        for segment, part in sorted(found | self._parts):
            count, expected = found[segment, part], self._parts[segment, part]
            if segment in readable and count != expected:
                self._problems.append(
                    f"segment {segment}: {count} values of {part.name.lower()}, {expected} expected"
                )
