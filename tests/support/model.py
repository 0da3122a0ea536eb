"""What a database should contain: a dict of documents, and the comparison of the two.

Documents are made from (id, version, dim) alone: two processes agree on them without talking.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.api.readable import Readable

Id = str | int
Floats = NDArray[np.float32]

WORDS = ("mvdb", "späte", "Interaktion", "late", "token", "vector", "検索", "segment", "", "list")
MEAN_COSINE = {1: 0.3, 2: 0.75, 4: 0.97, 8: 0.998, 16: 0.9999}
"""How close stored vectors come to the original ones, by bits: a document's mean at least."""
SCORE_TOLERANCE = 3e-4
"""Of one query token's score: the precise stage against float arithmetic on `db.vectors`."""


@dataclass(frozen=True)
class Entry:
    """A document: unit vectors (n, dim), text and metadata."""

    vectors: Floats
    text: str | None
    metadata: dict[str, Any] | None


Model = dict[Id, Entry]


def id_order(name: Id) -> tuple[bool, int, bytes]:
    """Sort key of the order that the API promises: integers, then strings by code points."""
    return (False, name, b"") if isinstance(name, int) else (True, 0, name.encode("utf-8"))


def ranked(scores: Mapping[Id, float], k: int | None = None) -> list[Id]:
    """Ids by falling score, ties by id."""
    return sorted(scores, key=lambda name: (-scores[name], id_order(name)))[:k]


def unit(rows: NDArray[Any]) -> Floats:
    """Rows divided by their length; computed in float64."""
    wide = rows.astype(np.float64)
    result: Floats = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return result


def make_entry(name: Id, version: int, dim: int, max_tokens: int = 5) -> Entry:
    """The document that belongs to an id and a version."""
    rng = np.random.default_rng([zlib.crc32(repr(name).encode()), version, dim])
    count = int(rng.integers(1, max_tokens + 1))
    vectors = unit(rng.standard_normal((count, dim)) + 1e-3)
    text: str | None = None
    if rng.random() < 0.8:
        chosen = [WORDS[i] for i in rng.integers(0, len(WORDS), int(rng.integers(0, 30)))]
        text = f"{name!r} version {version} " + " ".join(chosen)
    metadata: dict[str, Any] | None = None
    if rng.random() < 0.8:
        metadata = {
            "version": version,
            "group": int(rng.integers(0, 4)),
            "lang": ("de", "en", "日本")[int(rng.integers(0, 3))],
            "nested": {"score": round(float(rng.random()), 3), "tags": ["a", "b"][: version % 3]},
        }
        if rng.random() < 0.3:
            metadata["odd"] = None
    return Entry(vectors, text, metadata)


def make_query(seed: int, dim: int, tokens: int = 3) -> Floats:
    """A query of unit vectors."""
    return unit(np.random.default_rng([seed, 77, dim]).standard_normal((tokens, dim)) + 1e-3)


def max_sim(query: NDArray[Any], vectors: NDArray[Any]) -> float:
    """Sum over query tokens, brought to unit length, of the greatest dot product with a token of
    the document; in float64."""
    tokens = unit(query).astype(np.float64)
    return float((tokens @ vectors.astype(np.float64).T).max(axis=1).sum())


def brute_force(query: NDArray[Any], vectors: Mapping[Id, Floats]) -> dict[Id, float]:
    """MaxSim of every document."""
    return {name: max_sim(query, rows) for name, rows in vectors.items()}


def check_hits(
    hits: Sequence[Any], scores: Mapping[Id, float], k: int, tokens: int, *, complete: bool = True
) -> None:
    """That `hits` are the best k of `scores`, up to rounding: right scores, right order, nobody
    missing who is clearly better (left out with complete=False), nobody there twice."""
    tolerance = SCORE_TOLERANCE * tokens
    names = [hit.id for hit in hits]
    assert len(set(names)) == len(names), f"a document is found twice: {names}"
    assert set(names) <= set(scores), f"found, but not there: {set(names) - set(scores)}"
    expected = min(k, len(scores))
    assert len(hits) == expected, f"{len(hits)} hits, {expected} expected"
    for hit in hits:
        assert abs(hit.score - scores[hit.id]) <= tolerance, (
            f"{hit.id!r}: score {hit.score}, brute force {scores[hit.id]}"
        )
    order = [(-hit.score, id_order(hit.id)) for hit in hits]
    assert order == sorted(order), f"hits out of order: {order}"
    if complete and hits:
        missed = max((scores[name] for name in set(scores) - set(names)), default=-np.inf)
        assert missed <= hits[-1].score + 2 * tolerance, (
            f"a document of score {missed} is missing; the last hit has {hits[-1].score}"
        )


def check_vectors(name: Id, stored: Floats, entry: Entry, bits: int) -> None:
    """That stored vectors are those of the document, as closely as the bits allow."""
    assert stored.shape == entry.vectors.shape, (name, stored.shape, entry.vectors.shape)
    assert np.isfinite(stored).all(), name
    lengths = np.linalg.norm(stored, axis=1)
    cosines = (stored * entry.vectors).sum(axis=1) / np.maximum(lengths, 1e-9)
    assert cosines.mean() >= MEAN_COSINE[bits], (
        f"{name!r}: mean cosine {cosines.mean():.4f} to the vectors inserted, bits {bits}"
    )


def check_content(db: Readable, model: Model, bits: int, seed: int = 0) -> dict[Id, Floats]:
    """That the database holds exactly the model: ids, order, texts, metadata, vectors, and that
    searches agree with brute force over the stored vectors. Returns these vectors."""
    names = sorted(model, key=id_order)
    found = list(db.ids())
    assert found == names, (
        f"ids differ: missing {sorted(set(names) - set(found), key=id_order)[:5]}, "
        f"unexpected {sorted(set(found) - set(names), key=id_order)[:5]}"
    )
    assert len(db) == len(names)
    for name, document in zip(names, db.get(names), strict=True):
        entry = model[name]
        assert document is not None, name
        assert document.id == name
        assert document.text == entry.text, (name, document.text, entry.text)
        assert document.metadata == entry.metadata, (name, document.metadata, entry.metadata)
        assert document.n_tokens == len(entry.vectors), name
    stored = dict(zip(names, db.vectors(names), strict=True))
    for name in names:
        check_vectors(name, stored[name], model[name], bits)
    check_search(db, model, stored, seed)
    check_words(db, model, seed)
    return stored


def check_search(db: Readable, model: Model, stored: Mapping[Id, Floats], seed: int) -> None:
    """Exact, default, filtered and restricted searches against brute force."""
    rng = np.random.default_rng([seed, 5])
    query = make_query(int(rng.integers(1 << 30)), db.dim)
    scores = brute_force(query, stored)
    k = int(rng.integers(1, 12))
    check_hits(db.search(query, k, exact=True), scores, k, len(query))
    check_hits(db.search(query, k, candidates=len(stored) + 1), scores, k, len(query))
    check_hits(db.search(query, k), scores, k, len(query), complete=False)
    group = int(rng.integers(0, 4))
    fits = {
        name: score
        for name, score in scores.items()
        if (model[name].metadata or {}).get("group") == group
    }
    hits = db.search(query, k, filter={"group": group}, candidates=len(stored) + 1)
    check_hits(hits, fits, k, len(query))
    for hit in hits:
        assert (hit.text, hit.metadata) == (model[hit.id].text, model[hit.id].metadata)
    names = list(scores)
    some = [names[i] for i in rng.integers(0, len(names), 5)] if names else []
    chosen = {name: scores[name] for name in some}
    restricted = db.search(query, k, ids=[*some, "no such id"], candidates=len(stored) + 1)
    check_hits(restricted, chosen, k, len(query))
    check_hits(db.rerank(query, [*some, -12345]), chosen, len(chosen), len(query))


def check_words(db: Readable, model: Model, seed: int) -> None:
    """Searches by words find exactly the documents that have them, best first."""
    rng = np.random.default_rng([seed, 6])
    own = {name: set((entry.text or "").split()) for name, entry in model.items()}
    one, other = (str(word) for word in rng.choice([word for word in WORDS if word], 2))
    group, phrase = int(rng.integers(0, 4)), f"version {seed % 6}"
    in_group = {n for n, entry in model.items() if (entry.metadata or {}).get("group") == group}
    field = f"group:{group}"
    if not any("group" in (entry.metadata or {}) for entry in model.values()):
        field, in_group = "", set(model)  # where no document has the field, it is read as words
    for text, expected in (
        (f"{one} {other}", {name for name, has in own.items() if has & {one, other}}),
        (f"+{one} +{other}", {name for name, has in own.items() if has >= {one, other}}),
        (f"{one} -{other}", {n for n, has in own.items() if one in has and other not in has}),
        (f'"{phrase}"', {n for n, entry in model.items() if f" {phrase} " in (entry.text or "")}),
        (f"{one} {field}", {n for n, has in own.items() if one in has and n in in_group}),
    ):
        if "group:" in text and not any("group" in (e.metadata or {}) for e in model.values()):
            continue  # without such a field its words are plain ones
        hits = db.search(text=text, k=len(model) + 1, mode="lexical")
        names = [hit.id for hit in hits]
        assert set(names) == expected, (text, names, expected)
        order = [(-hit.score, id_order(hit.id)) for hit in hits]
        assert order == sorted(order), (text, order)
