"""Collections about topics, and what is in the files made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from mvdb import core
from mvdb.api.readable import Readable
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.limits import Limits
from mvdb.segment import layout
from mvdb.segment.layout import Part, Slot
from mvdb.state import manifest, unpublished
from mvdb.state.state import State
from mvdb.storage.environment import Environment, ReadTransaction
from mvdb.threads.workers import BUILDING
from mvdb.write.changes import Changes
from tests.support.model import Floats, Id, brute_force, check_hits, unit

DIM = 16
TOPICS = 12
LISTED = Limits(
    train_documents=100,
    extended_at_once=0,
    listed_tokens=300,
    cluster_documents=8,
    extent_bytes=300,
    chunk_bytes=4000,
)
"""With these some hundred documents make a segment with lists, an order, several extents and
chunks; commits add no centroids unless they double the collection."""


def topic_of(name: int) -> int:
    """The topic of a document."""
    return name % TOPICS


def around(topic: int, seed: int, tokens: int, spread: float = 0.25) -> Floats:
    """Unit vectors near a topic's directions."""
    directions = unit(np.random.default_rng([topic, 9]).standard_normal((4, DIM)))
    rng = np.random.default_rng([topic, seed, tokens])
    return unit(
        directions[rng.integers(0, 4, tokens)] + spread * rng.standard_normal((tokens, DIM))
    )


def vectors_of(name: int, version: int = 0) -> Floats:
    """The tokens of a document, two to seven."""
    return around(topic_of(name), 1000 * version + name, 2 + name % 6)


def query_for(topic: int, seed: int = 0, tokens: int = 5) -> Floats:
    """A query about a topic."""
    return around(topic, 1_000_000 + seed, tokens)


def put(db: Any, names: Sequence[int], version: int = 0) -> None:
    """Writes documents with their topics as metadata."""
    db.upsert(
        list(names),
        [vectors_of(name, version) for name in names],
        texts=[f"{name} version {version}" for name in names],
        metadata=[{"topic": topic_of(name), "n": name, "version": version} for name in names],
    )


def fill(db: Any, count: int, *, first: int = 0, commits: int = 1) -> None:
    """Documents first .. first + count - 1 in so many commits."""
    for part in np.array_split(np.arange(first, first + count), commits):
        put(db, part.tolist())


def scores_of(db: Readable, query: Floats) -> dict[Id, float]:
    """Brute force over what is stored."""
    names = list(db.ids())
    return brute_force(query, dict(zip(names, db.vectors(names), strict=True)))


def pairs(hits: Sequence[mvdb.Hit]) -> list[tuple[Id, float]]:
    """Hits as plain values."""
    return [(hit.id, hit.score) for hit in hits]


def check(db: Readable, versions: dict[int, int], seed: int = 0) -> None:
    """That the database holds these versions of documents, and finds them by brute force's order
    in every way of searching."""
    assert list(db.ids()) == sorted(versions)
    for document in db.get(sorted(versions)):
        assert document is not None
        assert isinstance(document.id, int)
        version = versions[document.id]
        assert document.text == f"{document.id} version {version}", (document, version)
        assert document.n_tokens == len(vectors_of(document.id, version))
    query = query_for(seed % TOPICS, seed)
    scores = scores_of(db, query)
    for name, score in scores.items():
        assert isinstance(name, int)
        original = brute_force(query, {name: vectors_of(name, versions[name])})[name]
        assert abs(score - original) < 0.3 * len(query), (name, score, original)
    check_hits(db.search(query, 10, exact=True), scores, 10, len(query))
    everything = max(1, len(scores))
    check_hits(db.search(query, 10, candidates=everything), scores, 10, len(query))
    check_hits(db.search(query, 10), scores, 10, len(query), complete=False)


def open_state(db: mvdb.Database) -> tuple[ReadTransaction, State]:
    """A transaction, to be closed, and the state in it, whose views are open."""
    txn = db._engine.environment.read()
    state = db._engine.cache.state(txn)
    if state.segments:
        state.open_vectors(txn)
    return txn, state


def listed(db: mvdb.Database) -> list[bool]:
    """For each segment whether it has lists."""
    txn, state = open_state(db)
    with txn:
        return [segment.open_vectors(txn).lists is not None for segment in state.segments]


def ordered(db: mvdb.Database) -> list[bool]:
    """For each segment whether its documents lie in an order of their own."""
    txn, state = open_state(db)
    with txn:
        return [segment.order is not None for segment in state.segments]


def left_over(path: Path) -> tuple[set[int], set[int]]:
    """Segments that are listed as unpublished, and those with values in the file that belong to no
    state and are not listed either."""
    with Environment.open(path, readonly=True) as environment, environment.read() as txn:
        known = {info.id for info in manifest.load(txn).segments}
        begun = set(unpublished.load(txn))
        there = {int.from_bytes(bytes(key[:8]), "big") for key, _ in txn.iterate(layout.TABLE)}
        return begun, there - known - begun


def part_keys(txn: ReadTransaction, part: Part) -> list[bytes]:
    """The keys of all values of a kind of part."""
    return [bytes(key) for key, _ in txn.iterate(layout.TABLE) if key[8] == part]


def codes_of(txn: ReadTransaction, state: State, index: int) -> list[set[int]]:
    """The centroid codes of each slot of a segment, read one by one."""
    segment = state.segments[index].open_vectors(txn)
    result = []
    for slot in range(len(segment)):
        codes, _, n = segment.stored(Slot(slot))
        width = segment.code_bytes
        raw = bytes(codes)
        assert len(raw) == n * width
        result.append(
            {int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width)}
        )
    return result


def probed(txn: ReadTransaction, state: State, vectors: Floats, nprobe: int) -> list[int]:
    """The lists that a search reads, of a query of one block."""
    query, segments = core.Query(), state.open_vectors(txn)
    query.load(np.ascontiguousarray(vectors, np.float32))
    ways = [core.BY_LISTS if one.lists else core.BY_SCORES for one in segments.segments]
    search = query.search(
        segments.views,
        core.SearchPlan(
            ways=bytes(ways),
            k=10,
            nprobe=nprobe,
            n_candidates=10,
            near_groups=0,
            deviations=3.0,
            error=0.0,
            scores=core.SCORE_FAST,
            refines=False,
            early_ranks=0,
            most_faults=core.ANY_FAULTS,
        ),
        core.Bitmaps([None] * len(ways)),
        np.empty(0, core.PLACE),
    )
    assert search.stage == "probe"
    assert search.go_on(one_stage=True) == core.EVENT_STAGE
    assert search.stage == "gather"
    lists: list[int] = search.probes["list"].tolist()
    return lists


def trained_on(matrices: Sequence[Floats], bits: int, **options: Any) -> tuple[core.CodecSpec, int]:
    """A codec trained on all tokens of some documents, and how many these are. `options`: further
    arguments of `training.draw`."""
    vectors = np.concatenate(matrices).astype(np.float16)
    sample = training.draw([vectors], len(vectors), 3, DIM, 1 << 30, **options)
    return training.train(sample, bits, 3, BUILDING), len(vectors)


def store_codebook(db: mvdb.Database, spec: core.CodecSpec, trained_tokens: int) -> None:
    """Makes a codec the codebook for new segments; the segments there are stay."""

    def work(changes: Changes) -> None:
        number = changes.manifest.generation + 1
        codebooks.store(changes.txn, number, spec, {})
        changes.manifest = replace(
            changes.manifest, generation=number, trained_tokens=trained_tokens
        )

    db._engine.steps.run(work)
