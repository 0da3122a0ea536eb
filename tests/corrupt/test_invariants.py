"""The table of invariants in docs/format.md, each broken by a file whose checksums fit.

A file whose centroids had another dim than its settings once let insert() read far past the end of
its vectors: only segments compared the two, and none referred to these centroids. Every pair of
stored things that must agree is compared when a state is opened, or when a part is first read.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.segment.layout import Part
from mvdb.state import encoder_identity, lexical_identity, relevance_level, unpublished
from mvdb.storage import envelope
from mvdb.storage.format import Kind
from tests.corrupt import specimens
from tests.corrupt.bombs import Change, named, rehash, replace_first, reseal, u32
from tests.index.test_seeds import values
from tests.support.model import make_query
from tests.support.opening import by_lists, opened

Bodies = Callable[[bytes], bytes]
Entries = list[list[int | float]]

HEAD = struct.Struct("<QQQQQIdI")
ENTRY = struct.Struct("<QIIIQQdQQ")
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "format.md"


@dataclass(frozen=True)
class Broken:
    """How to break an invariant, and what the error says."""

    change: Change
    says: str
    specimen: str = "listed"


def manifest(change: Callable[[list[int | float], Entries], object]) -> Change:
    """Changes the manifest's header and entries."""

    def make(body: bytes) -> bytes:
        head = list(HEAD.unpack_from(body))
        entries = [list(one) for one in ENTRY.iter_unpack(body[HEAD.size :])]
        change(head, entries)
        head[7] = len(entries)
        return HEAD.pack(*head) + b"".join(ENTRY.pack(*one) for one in entries)

    return named(b"manifest", make)


def catalog(change: Callable[[list[int], list[tuple[int, bytes]]], object]) -> Change:
    """Changes the header and the entries of the catalog of collections."""

    def make(body: bytes) -> bytes:
        head, entries, at = list(struct.unpack_from("<QII", body)), [], 16
        for _ in range(head[2]):
            number, size = struct.unpack_from("<IH", body, at)
            entries.append((number, body[at + 6 : at + 6 + size]))
            at += 6 + size
        change(head, entries)
        rows = (struct.pack("<IH", number, len(name)) + name for number, name in entries)
        return struct.pack("<QII", *head) + b"".join(rows)

    return named(b"collections", make)


def entry(field: int, value: int | float, *, add: bool = True, at: int = 0) -> Change:
    """Adds to a field of a segment's entry, or sets it."""

    def change(head: list[int | float], entries: Entries) -> None:
        entries[at][field] = value + (entries[at][field] if add else 0)

    return manifest(change)


def twice(head: list[int | float], entries: Entries) -> None:
    """The last segment again, behind itself."""
    again = list(entries[-1])
    span = again[8] - again[7] + 1
    again[7], again[8] = again[7] + span, again[8] + span
    head[2] += span
    head[3] += again[2] - again[3]
    entries.append(again)


def many(head: list[int | float], entries: Entries) -> None:
    entries *= 10_000


def header(field: int, value: int) -> Change:
    return manifest(lambda head, entries: head.__setitem__(field, value))


def part(wanted: Part, make: Bodies) -> Change:
    """Changes the values of a part of all segments."""
    return lambda table, key, kind, body: (
        make(body) if table == "segments" and key[8] == wanted else None
    )


def array(which: int, index: int, value: int) -> Bodies:
    """Sets an entry of the directory's arrays: 0 numbers, 2 starts, 3 chunks, 4 blocks."""

    def make(body: bytes) -> bytes:
        n, c, b, _ = struct.unpack_from("<IIII", body)
        sizes = [8 * n, 8 * n, 4 * (n + 1), 4 * (c + 1), 4 * (b + 1)]
        width = 8 if which < 2 else 4
        at = 16 + sum(sizes[:which]) + width * (index if index >= 0 else sizes[which] // width - 1)
        return body[:at] + value.to_bytes(width, "little") + body[at + width :]

    return make


def published(table: str, key: bytes, kind: Kind, body: bytes) -> bytes | None:
    """The list of unfinished segments names all that are likely to be in the manifest."""
    names = b"".join(struct.pack("<Qd", number, 0.0) for number in range(1, 100))
    return names if table == "meta" and key == b"unfinished" else None


def directory(which: int, index: int, value: int) -> Change:
    return replace_first(Kind.DIRECTORY, array(which, index, value))


def extended(*entries: tuple[int, int]) -> Change:
    """The list of generations that the newest one extends."""
    body = b"".join(struct.pack("<II", *one) for one in entries)
    return replace_first(Kind.CENTROIDS, lambda _: body, 5)


def encoder(record: object) -> Bodies:
    body = record if isinstance(record, bytes) else json.dumps(record).encode()
    return lambda _: body


def lexical(**change: object) -> Bodies:
    """Changes fields of the record of the lexical index."""
    return lambda body: json.dumps({**json.loads(body), **change}).encode()


def a_row_less(body: bytes) -> bytes:
    """A word directory without its last row's length."""
    n, b, e, _ = struct.unpack_from("<IIII", body)
    end = 17 + 8 * b + 4 * (b + 1) + 4 * (e + 1) + 2 * n
    return struct.pack("<I", n - 1) + body[4 : end - 2] + body[end:]


def without_lengths(body: bytes) -> bytes:
    """A word directory that says that it is one of weights."""
    n, b, e, _ = struct.unpack_from("<IIII", body)
    begin = 17 + 8 * b + 4 * (b + 1) + 4 * (e + 1)
    return body[:16] + b"\0" + body[17:begin] + body[begin + 2 * n :]


def a_row_more(body: bytes) -> bytes:
    """A weight directory of one more row, which it has no bytes for."""
    return struct.pack("<I", struct.unpack_from("<I", body)[0] + 1) + body[4:]


def with_lengths(body: bytes) -> bytes:
    """A weight directory that says that it is one of words."""
    n, b, e, _ = struct.unpack_from("<IIII", body)
    begin = 17 + 8 * b + 4 * (b + 1) + 4 * (e + 1)
    return body[:16] + b"\1" + body[17:begin] + b"\1\0" * n + body[begin:]


def float16(value: float) -> Change:
    """Sets the first number of each chunk of records."""
    return part(Part.RECORDS, lambda body: np.float16(value).tobytes() + body[2:])


def a_text(body: bytes) -> bytes:
    return re.sub(rb"schl", b"\xff\xff\xff\xff", body)


INVARIANTS: dict[str, Broken] = {
    "settings and centroids: dim": Broken(replace_first(Kind.CENTROIDS, u32(0, 32), 0), "bytes"),
    "settings and centroids: bits": Broken(replace_first(Kind.CENTROIDS, u32(4, 8), 0), "bits 8"),
    "settings and manifest: float16": Broken(named(b"settings", u32(4, 16)), "float16 vectors"),
    "settings and segments: dim": Broken(named(b"settings", u32(0, 17)), "dim 16"),
    "settings and encoder: dim": Broken(
        named(b"encoder", encoder({"name": "a", "dim": 17, "pooling": None})), "17 dimensions"
    ),
    "encoder: types": Broken(
        named(b"encoder", encoder({"name": ["a"], "dim": 16, "pooling": None})), "texts"
    ),
    "encoder: revision": Broken(
        named(b"encoder", encoder({"name": "a", "dim": 16, "pooling": None, "revision": None})),
        "texts",
    ),
    "encoder: prefix": Broken(
        named(b"encoder", encoder({"name": "a", "dim": 16, "pooling": None, "prefix": 5})), "texts"
    ),
    "encoder: dim": Broken(
        named(b"encoder", encoder({"name": "a", "dim": "16", "pooling": None})), "dim is not"
    ),
    "encoder: fields": Broken(
        named(b"encoder", encoder({"name": "a", "dim": 16, "more": 1})), "more than name"
    ),
    "encoder: depth": Broken(named(b"encoder", encoder(b"[" * 100_000)), "not readable"),
    "relevance: level": Broken(named(b"relevance", lambda _: b"\xff" * 16), "impossible"),
    "relevance: size": Broken(named(b"relevance", lambda body: body + b"\0"), "17 bytes"),
    **{
        f"lexical: {name}": Broken(named(b"lexical", lexical(**change)), says)
        for name, change, says in (
            ("types", {"version": "1"}, "is not a number"),
            ("stemmer", {"stemmer": "../english"}, "not a language"),
            ("k1", {"k1": -1.0}, "k1 is not"),
            ("b", {"b": 1.01}, "b is not"),
            ("fields", {"more": 1}, "its fields are not"),
        )
    },
    "lexical: depth": Broken(named(b"lexical", encoder(b"[" * 100_000)), "not readable"),
    "lexical and manifest": Broken(named(b"lexical", lexical(since=10**6)), "beyond the manifest"),
    "manifest: segments": Broken(manifest(many), "segments"),
    "manifest: distinct segments": Broken(manifest(twice), "there twice"),
    "manifest: ids and documents": Broken(
        manifest(lambda head, entries: head.__setitem__(3, head[3] + 1)), "ids"
    ),
    "manifest: ranges": Broken(entry(7, 1, add=False, at=1), "contradicts"),
    "manifest: next segment": Broken(header(1, 1), "contradicts"),
    "manifest: next document": Broken(header(2, 5), "contradicts"),
    "manifest: counters": Broken(header(2, 1 << 63), "beyond its range"),
    "manifest: codebook number": Broken(header(5, 0xFF << 24), "codebook's number"),
    "manifest: generations": Broken(entry(1, 100), "contradicts"),
    "manifest: live documents": Broken(entry(3, 10**6), "contradicts"),
    "manifest: deleted tokens": Broken(entry(5, 10**9), "contradicts"),
    "manifest: tokens": Broken(entry(4, 0, add=False), "contradicts"),
    "manifest: residuals": Broken(entry(6, -1.0, add=False), "contradicts"),
    "manifest and centroids: generation": Broken(header(5, 10**6), "missing"),
    "manifest and directory: documents": Broken(
        manifest(
            lambda head, entries: (
                entries[0].__setitem__(2, entries[0][2] - 1),
                head.__setitem__(3, head[3] - 1),
            )
        ),
        "disagree|entries",
    ),
    "manifest and directory: tokens": Broken(entry(4, 1), "disagree"),
    "manifest and directory: numbers": Broken(directory(0, 0, 0), "disagree"),
    "manifest and tombstones: size": Broken(
        replace_first(Kind.TOMBSTONES, lambda body: body + b"\0"), "bytes for"
    ),
    "manifest and tombstones: count": Broken(
        replace_first(Kind.TOMBSTONES, lambda body: bytes((body[0] ^ 1,)) + body[1:]), "expected"
    ),
    "tombstones: rows": Broken(
        replace_first(Kind.TOMBSTONES, lambda body: body[:-1] + b"\x80"), "no documents|expected"
    ),
    "collections: numbers": Broken(catalog(lambda head, entries: entries.reverse()), "ascend"),
    "collections: next number": Broken(
        catalog(lambda head, entries: head.__setitem__(1, 2)), "do not ascend"
    ),
    "collections: distinct names": Broken(
        catalog(lambda head, entries: entries.__setitem__(1, (2, b"mail"))), "there twice"
    ),
    "collections: allowed names": Broken(
        catalog(lambda head, entries: entries.__setitem__(0, (1, b"a\nb"))), "not allowed"
    ),
    "collections: UTF-8": Broken(
        catalog(lambda head, entries: entries.__setitem__(0, (1, b"\xff"))), "not UTF-8"
    ),
    "collections: count": Broken(
        named(b"collections", lambda body: u32(12, 1 << 31)(body)), "2147483648 collections"
    ),
    "collections: size": Broken(
        named(b"collections", lambda body: body + b"\0"), "1 bytes too many"
    ),
    "collections: cut": Broken(named(b"collections", lambda body: body[:-1]), "is cut"),
    "collections and manifests": Broken(
        catalog(lambda head, entries: entries.__setitem__(1, (3, b"other"))), "missing"
    ),
    "unfinished and manifest": Broken(published, "in the manifest"),
    "centroids: older generations": Broken(extended((10**6, 1)), "extends"),
    "centroids: older generations ascend": Broken(extended((1, 5), (1, 6)), "extends"),
    "centroids: older centroids": Broken(extended((1, 10**6)), "has 1000000 centroids"),
    "centroids: groups": Broken(
        replace_first(Kind.CENTROIDS, u32(4, 1 << 30), 3), "centroid tables"
    ),
    "centroids: members": Broken(
        replace_first(Kind.CENTROIDS, u32(0, 1 << 30), 6), "centroid tables"
    ),
    "centroids: members once": Broken(
        replace_first(Kind.CENTROIDS, lambda body: body[4:8] + body[4:], 6), "centroid tables"
    ),
    "centroids: scales": Broken(
        replace_first(Kind.CENTROIDS, lambda body: struct.pack("<f", float("inf")) + body[4:], 4),
        "centroid tables",
    ),
    "directory: numbers": Broken(directory(0, 1, 0), "not ascending"),
    "directory: first tokens": Broken(directory(2, 1, 0), "not ascending"),
    "directory: chunks": Broken(directory(3, -1, 1 << 30), "chunks"),
    "directory: blocks": Broken(directory(4, -1, 1 << 30), "blocks"),
    "directory and codes": Broken(
        replace_first(Kind.CODES, lambda body: body[:-2]), "segment's directory", "trained"
    ),
    "directory and records": Broken(
        part(Part.RECORDS, lambda body: body[:-1]), "segment's directory"
    ),
    "codes and centroids": Broken(
        part(Part.CODES, lambda body: b"\xff" * len(body)), "centroid codes", "trained"
    ),
    "codes in records and centroids": Broken(
        part(Part.RECORDS, lambda body: b"\xff" * len(body)), "centroid codes"
    ),
    "order and directory": Broken(part(Part.ORDER, lambda body: body[4:8] + body[4:]), "order"),
    "lists and centroids": Broken(
        part(Part.LIST_DIRECTORY, lambda body: u32(0, struct.unpack_from("<I", body)[0] - 1)(body)),
        "lists for|list directory",
    ),
    "lists: extents": Broken(
        part(Part.LIST_DIRECTORY, lambda body: body[:-4] + b"\xff\xff\0\0"), "not in order"
    ),
    "words and directory": Broken(part(Part.WORD_DIRECTORY, a_row_less), "rows for"),
    "words: kind": Broken(
        part(Part.WORD_DIRECTORY, without_lengths), "weights where words are expected"
    ),
    "words: blocks": Broken(
        part(Part.WORD_DIRECTORY, lambda body: body[:17] + b"\xff" + body[18:]), "is damaged"
    ),
    "words: extents": Broken(part(Part.WORDS, lambda body: body[:-1]), "term index|not"),
    "weights and directory": Broken(part(Part.WEIGHT_DIRECTORY, a_row_more), "rows for"),
    "weights: kind": Broken(
        part(Part.WEIGHT_DIRECTORY, with_lengths), "words where weights are expected"
    ),
    "weights: blocks": Broken(
        part(Part.WEIGHT_DIRECTORY, lambda body: body[:17] + b"\xff" + body[18:]), "is damaged"
    ),
    "weights: extents": Broken(part(Part.WEIGHTS, lambda body: body[:-1]), "term index|not"),
    "ids and directory": Broken(part(Part.IDS, lambda body: body[4:]), "offsets|too short"),
    "ids: keys": Broken(part(Part.IDS, a_text), "not the key|leads to no"),
    "float16 rows: finite": Broken(float16(float("inf")), "unit length", "float16"),
    "float16 rows: numbers": Broken(float16(float("nan")), "unit length", "float16"),
    "float16 rows: length": Broken(float16(100.0), "unit length", "float16"),
    "blocks and directory": Broken(
        part(Part.DOCUMENTS, lambda body: u32(0, 1 << 20)(body)), "wrong size"
    ),
    "fields and directory": Broken(
        part(Part.FIELDS, lambda body: u32(8, 7)(body) if body[:4] == b"MVMC" else body),
        "not the directory of this segment",
    ),
}


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Specimens, with an encoder and an unfinished segment."""
    folder = tmp_path_factory.mktemp("intact")
    return {name: specimens.make(name, folder).intact for name in ("listed", "trained", "float16")}


def add_records(path: Path) -> None:
    """The optional values of the table `meta`, to be changed."""
    with mvdb.open(path, background=False) as db, db._engine.environment.write() as txn:
        encoder_identity.store(txn, encoder_identity.EncoderIdentity("a", db.dim))
        numbers = sorted(
            {int.from_bytes(bytes(key[:8]), "big") for key, _ in txn.iterate("segments")}
        )
        free = next(number for number in range(1, numbers[-1]) if number not in numbers)
        unpublished.add(txn, free)
        relevance_level.store(txn, relevance_level.RelevanceLevel(0.5, 10))


def use(db: mvdb.Database) -> None:
    """Reads everything and writes."""
    for collection in db.collections():
        assert len(db.collection(collection)) == 0
    names = list(db.ids())
    for seed in range(3):
        db.search(make_query(seed, db.dim, 6), 8, nprobe=1000)
    db.search(make_query(1, db.dim), 5, filter={"group": 1})
    db.search(text='version token "mvdb list" inter*', k=len(names))
    db.search(sparse={f"term {i}": 1.0 for i in range(0, 60, 2)}, k=len(names))
    db.search(sparse=dict.fromkeys(range(1, 60, 2), 1.0), k=len(names))
    db.search(make_query(1, db.dim), len(names), exact=True)
    db.vectors(names)
    db.get(names)
    db.insert("more", np.ones((2, db.dim), np.float32))
    db.delete("more")
    db.optimize()


def extend(path: Path) -> None:
    """Adds centroids, so that there is a generation that extends another."""
    limits = Limits(train_documents=60, extended_at_once=0, growth=0.1)
    with opened(path, limits, background=False) as db:
        db._engine.maintenance.keep_up()


@pytest.mark.parametrize("name", INVARIANTS)
def test_a_broken_invariant_is_refused(tmp_path: Path, intact: dict[str, bytes], name: str) -> None:
    """Somebody says so with CorruptionError, nobody raises anything else, and `verify`, where the
    file opens at all, sees it too."""
    broken = INVARIANTS[name]
    path = tmp_path / "a.mvdb"
    path.write_bytes(intact[broken.specimen])
    if name.startswith(("encoder", "settings and encoder", "unfinished", "relevance")):
        add_records(path)
    if name.startswith("collections"):
        with mvdb.open(path, background=False) as db:
            for collection in ("mail", "calendar", "gone"):
                db.collection(collection, dim=3)
            db.drop_collection("gone")
    if name.startswith("centroids: older"):
        extend(path)
    assert reseal(path, broken.change)
    if broken.specimen == "float16" or name == "codes in records and centroids":
        rehash(path)
    with pytest.raises(mvdb.CorruptionError, match=broken.says):  # noqa: PT012
        with mvdb.open(path, readonly=True) as db:
            report = db.verify()
            if "encoder" not in name and "lexical:" not in name:
                assert not report.ok
                assert any(re.search(broken.says, one) for one in report.problems), report.problems
        with opened(path, by_lists(), background=False) as db:
            use(db)


def test_texts_without_a_term_index(tmp_path: Path) -> None:
    """A file says that its texts are indexed, and a segment of them is not: searches by words would
    not find its documents."""
    path = tmp_path / "a.mvdb"
    with mvdb.open(path, dim=8, lexical=False, background=False) as db:
        db.insert(["a", "b"], [np.ones((1, 8), np.float32)] * 2, texts=["words", None])
        with db._engine.environment.write() as txn:
            asked = lexical_identity.Lexical(True)
            lexical_identity.store(txn, lexical_identity.OFF.with_(asked, 0))
        (problem,) = db.verify().problems
        assert "1 texts without a term index" in problem
        assert db.verify(deep=False).ok


@pytest.mark.parametrize("dim", [24, 4096])
def test_centroids_of_another_dim_that_no_segment_uses(tmp_path: Path, dim: int) -> None:
    """What is stored is read, but nothing is encoded with them: insert() crashed."""
    wide, path = tmp_path / "wide.mvdb", tmp_path / "a.mvdb"
    rng = np.random.default_rng(0)
    limits = Limits(train_documents=50)
    with opened(wide, limits, dim=dim, bits=8, background=False) as db:
        db.insert(list(range(60)), rng.standard_normal((60, 2, dim)).astype(np.float32))
    with mvdb.open(path, dim=8, bits=2, background=False) as db:
        db.insert("a", np.ones((2, 8), np.float32))
    found = {key: one for key, one in values(wide).items() if key[0] == "centroids"}
    with lmdb.open(str(path), subdir=False, max_dbs=16, lock=False, map_size=1 << 28) as file:
        handle = file.open_db(b"centroids", create=False)
        with file.begin(write=True, db=handle) as txn:
            for (_, key), (kind, body) in found.items():
                txn.put(key, envelope.seal(kind, key, body))
    assert reseal(path, header(5, 1))
    with mvdb.open(path, background=False) as db:
        assert any(f"dim {dim}" in one for one in db.verify().problems)
        assert [hit.id for hit in db.search(np.ones((1, 8), np.float32), 3)] == ["a"]
        with pytest.raises(mvdb.CorruptionError, match=f"dim {dim}"):
            db.insert(list(range(10, 2010)), np.ones((2000, 2, 8), np.float32))
        with pytest.raises(mvdb.CorruptionError, match=f"dim {dim}"):
            db.upsert("a", np.ones((1, 8), np.float32))
        assert list(db.ids()) == ["a"]


def test_the_specimens_are_sound(tmp_path: Path, intact: dict[str, bytes]) -> None:
    for name, data in intact.items():
        path = tmp_path / f"{name}.mvdb"
        path.write_bytes(data)
        add_records(path)
        with opened(path, by_lists(), background=False) as db:
            assert db.verify().ok
            use(db)


def test_the_docs_have_each_invariant() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [name for name in INVARIANTS if f"`{name}`" not in text]
    assert not missing, "name them in the table of docs/format.md"
