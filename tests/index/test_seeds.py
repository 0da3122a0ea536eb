"""The rotation's seed is stored with each codebook. Searches once took a constant instead: a file
that fitted docs/format.md and had another seed was answered wrongly, always, and nothing said so.
Now each codec rotates with its own, and codebooks of several seeds are searched together."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from pathlib import Path

import lmdb
import numpy as np
import pytest

from mvdb.limits import Limits
from mvdb.segment import layout
from mvdb.storage import envelope
from mvdb.storage.format import ENVELOPE_HEADER, TABLES, Kind
from tests.index.files import (
    DIM,
    LISTED,
    check,
    fill,
    listed,
    query_for,
    store_codebook,
    trained_on,
    vectors_of,
)
from tests.support.opening import by_lists, opened

HEAD = struct.Struct("<QQQQQIdI")
ENTRY = struct.Struct("<QIIIQQdQQ")
SMALL = Limits(train_documents=50, extended_at_once=0)
Values = dict[tuple[str, bytes], tuple[Kind, bytes]]


def make(path: Path, seed: int, first: int, count: int, limits: Limits) -> None:
    """A file whose codebook, trained on all its documents, has this seed."""
    limits = replace(limits, newcomers_per_centroid=math.inf)
    with opened(path, limits, dim=DIM, bits=4, background=False) as db:
        matrices = [vectors_of(name) for name in range(first, first + count)]
        store_codebook(db, *trained_on(matrices, 4, rotation_seed=seed))
        fill(db, count, first=first)


@pytest.mark.parametrize("limits", [SMALL, LISTED], ids=["small", "listed"])
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_a_file_of_another_seed(tmp_path: Path, seed: int, limits: Limits) -> None:
    path = tmp_path / "a.mvdb"
    make(path, seed, 0, 240, limits)
    with opened(path, limits, background=False) as db:
        assert db.verify().ok
        for at in range(5):
            check(db, dict.fromkeys(range(240), 0), at)
        explained = db.explain(query_for(3), 3)
        direct = query_for(3) @ db.vectors(3)[0].T
        assert np.abs(explained.scores - direct).max() < 1e-3
        fill(db, 30, first=240)
        fill(db, 800, first=270)  # makes more centroids due, of the same seed
        db.optimize()
        assert db.verify().ok
        check(db, dict.fromkeys(range(1070), 0))


def values(path: Path) -> Values:
    result: Values = {}
    with lmdb.open(str(path), subdir=False, max_dbs=16, lock=False, readonly=True) as file:
        for table in TABLES:
            handle = file.open_db(table.encode(), create=False)
            with file.begin(db=handle) as txn:
                for key, value in txn.cursor():
                    kind = Kind(value[1])
                    result[table, key] = kind, value[ENVELOPE_HEADER.size :]
    return result


def join(path: Path, other: Path, shift: int = 10_000) -> None:
    """Puts the segments and the centroids of another file, as generation 2, beside those of a file
    of generation 1."""
    mine, theirs = values(path), values(other)
    added: Values = {}
    for (table, key), (kind, body) in theirs.items():
        if table in ("segments", "tombstones"):
            key = (int.from_bytes(key[:8], "big") + shift).to_bytes(8, "big") + key[8:]
            if kind == Kind.DIRECTORY:
                found = layout.unpack_directory(memoryview(body), "other")
                body = body.replace(
                    found.numbers.tobytes(), (found.numbers + np.uint64(shift)).tobytes()
                )
        elif table == "centroids":
            key = (2).to_bytes(4, "big") + key[4:]
        elif table == "ids":
            body = struct.pack("<Q", struct.unpack("<Q", body)[0] + shift)
        else:
            continue
        added[table, key] = kind, body
    manifests = [each["meta", b"manifest"][1] for each in (mine, theirs)]
    heads = [list(HEAD.unpack_from(body)) for body in manifests]
    entries = [list(map(list, ENTRY.iter_unpack(body[HEAD.size :]))) for body in manifests]
    for entry in entries[1]:
        entry[0], entry[1] = entry[0] + shift, 2
        entry[7], entry[8] = entry[7] + shift, entry[8] + shift
    head = heads[0]
    head[1], head[2] = heads[1][1] + shift, heads[1][2] + shift
    head[3] += heads[1][3]
    head[5] = 2
    head[7] = len(entries[0]) + len(entries[1])
    joined = HEAD.pack(*head) + b"".join(ENTRY.pack(*one) for one in [*entries[0], *entries[1]])
    added["meta", b"manifest"] = Kind.MANIFEST, joined
    with lmdb.open(str(path), subdir=False, max_dbs=16, lock=False, map_size=1 << 28) as file:
        for (table, key), (kind, body) in added.items():
            handle = file.open_db(table.encode(), create=False)
            with file.begin(write=True, db=handle) as txn:
                txn.put(key, envelope.seal(kind, key, body))


@pytest.mark.parametrize("limits", [SMALL, LISTED], ids=["small", "listed"])
def test_codebooks_of_two_seeds_are_searched_together(tmp_path: Path, limits: Limits) -> None:
    """And never merged: codes of one mean nothing to the other."""
    path, other = tmp_path / "a.mvdb", tmp_path / "b.mvdb"
    make(path, 7, 0, 240, limits)
    make(other, 8, 240, 240, limits)
    join(path, other)
    versions = dict.fromkeys(range(480), 0)
    with opened(path, limits, background=False) as db:
        report = db.verify()
        assert report.ok, report.problems
        assert all(listed(db)) == (limits is LISTED)
        for at in range(5):
            check(db, versions, at)
        with opened(path, by_lists(limits, candidates=100), background=False) as listing:
            hits = listing.search(query_for(5), 24)
        assert {hit.id >= 240 for hit in hits if isinstance(hit.id, int)} == {False, True}
        db.delete(list(range(200)))
        fill(db, 60, first=480)
        db.optimize()
        report = db.verify()
        assert report.ok, report.problems
        check(db, dict.fromkeys([*range(200, 480), *range(480, 540)], 0))
