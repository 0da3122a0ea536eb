"""P1, P7 and the API's meaning: random sequences of calls against a dict and brute-force MaxSim.

The limits of training, flushing and merging are so low that a few documents cross them, get
lists and an order, outgrow their centroids, and are merged in steps, in the background or not.
Profiles: see tests/conftest.py.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

import mvdb
from mvdb.api.readable import Readable
from mvdb.limits import Limits
from mvdb.state import unpublished
from tests.property import browsing_rules
from tests.property.drawn import IDS, id_lists, ids, seeds, versions
from tests.support import opening
from tests.support.model import (
    Entry,
    Id,
    Model,
    brute_force,
    check_content,
    check_hits,
    check_vectors,
    id_order,
    make_entry,
    make_query,
)


class OnPurpose(Exception):
    """Rolls a transaction back."""


class DatabaseMachine(browsing_rules.BrowsingRules):
    """One database, the model of what it should contain, and at most one open snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mvdb-machine-"))
        self.path = self.folder / "machine.mvdb"
        self.db = None
        self.model = {}
        self.snapshot: mvdb.Snapshot | None = None
        self.frozen: Model = {}
        self.copies = 0

    @initialize(
        dim=st.sampled_from([1, 3, 48]),
        bits=st.sampled_from([1, 2, 4, 8, 16]),
        train=st.integers(3, 25),
        flush=st.integers(200, 5000),
        fanout=st.integers(2, 4),
        chunk=st.integers(200, 4000),
        listed=st.sampled_from([1, 20, 60, 1 << 20]),
        cluster=st.integers(1, 4),
        commit=st.sampled_from([0, 20, 1 << 20]),
        most=st.sampled_from([40, 1 << 20]),
        growth=st.sampled_from([1.2, 2.0, 1e9]),
        at_once=st.sampled_from([0, 1 << 20]),
        step=st.sampled_from([1, 100, 1 << 20]),
        by_lists=st.booleans(),
        background=st.booleans(),
    )
    def create(
        self,
        dim: int,
        bits: int,
        train: int,
        flush: int,
        fanout: int,
        chunk: int,
        listed: int,
        cluster: int,
        commit: int,
        most: int,
        growth: float,
        at_once: int,
        step: int,
        by_lists: bool,
        background: bool,
    ) -> None:
        self.dim, self.bits, self.background, self.most = dim, bits, background, most
        self.limits = Limits(
            train_documents=train,
            flush_bytes=flush,
            base_tokens=8,
            fanout=fanout,
            chunk_bytes=chunk,
            listed_tokens=listed,
            cluster_documents=cluster,
            extent_bytes=chunk,
            commit_tokens=commit,
            max_tokens=most,
            growth=growth,
            extended_at_once=at_once,
            step_bytes=step,
        )
        if by_lists:
            self.limits = opening.by_lists(self.limits, candidates=2)
        self.db = self.open(dim=dim, bits=bits)

    def open(self, **options: Any) -> mvdb.Database:
        background = self.background
        return opening.opened(
            self.path, self.limits, durability="relaxed", background=background, **options
        )

    def teardown(self) -> None:
        if self.db is not None:
            if self.snapshot is not None:
                self.snapshot.close()
            self.db.close()
            left = [path.name for path in self.folder.iterdir()]
            assert left == [self.path.name], f"left behind: {left}"
        shutil.rmtree(self.folder)

    # ---- writing ----

    def entries(self, names: list[Id], version: int) -> list[Entry]:
        return [make_entry(name, version, self.dim) for name in names]

    def write(self, target: Any, kind: str, names: list[Id], version: int, form: int) -> None:
        """Calls insert or upsert, the vectors in one of the forms that the API takes."""
        entries = self.entries(names, version)
        vectors: Any = [entry.vectors for entry in entries]
        if form == 1:
            vectors = (np.concatenate(vectors), [len(part) for part in vectors])
        elif form == 2:  # scaled, in double precision, with rows of zeros as padding
            vectors = [np.vstack([part * 3.0, np.zeros((2, self.dim))]) for part in vectors]
        getattr(target, kind)(
            names,
            vectors,
            texts=[entry.text for entry in entries],
            metadata=[entry.metadata for entry in entries],
        )

    def apply(self, model: Model, names: list[Id], version: int) -> None:
        model.update(zip(names, self.entries(names, version), strict=True))

    @rule(names=id_lists, version=versions, form=st.integers(0, 2))
    def insert(self, names: list[Id], version: int, form: int) -> None:
        if any(name in self.model for name in names):
            with pytest.raises(mvdb.DuplicateIdError):
                self.write(self.db, "insert", names, version, form)
        else:
            self.write(self.db, "insert", names, version, form)
            self.apply(self.model, names, version)

    @rule(names=id_lists, version=versions, form=st.integers(0, 2))
    def upsert(self, names: list[Id], version: int, form: int) -> None:
        self.write(self.db, "upsert", names, version, form)
        self.apply(self.model, names, version)

    @rule(names=st.lists(ids, max_size=12))
    def delete(self, names: list[Id]) -> None:
        expected = len({name for name in names if name in self.model})
        assert self.db is not None
        assert self.db.delete(names) == expected
        for name in names:
            self.model.pop(name, None)

    @rule(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["upsert", "delete", "update", "merge", "matching", "read"]),
                id_lists,
                versions,
            ),
            min_size=1,
            max_size=6,
        ),
        fail=st.booleans(),
        seed=seeds,
    )
    def transaction(self, steps: list[tuple[str, list[Id], int]], fail: bool, seed: int) -> None:
        """Several writes, reading their own, kept or rolled back together."""
        assert self.db is not None
        inside = dict(self.model)
        try:
            with self.db.transaction() as txn:
                for kind, names, version in steps:
                    if kind == "upsert":
                        self.write(txn, "upsert", names, version, 0)
                        self.apply(inside, names, version)
                    elif kind == "delete":
                        expected = len({name for name in names if name in inside})
                        assert txn.delete(names) == expected
                        for name in names:
                            inside.pop(name, None)
                    elif kind in ("update", "merge"):
                        known, merge = [name for name in names if name in inside], kind == "merge"
                        browsing_rules.update(txn, known, version, merge)
                        inside = browsing_rules.updated(inside, known, version, self.dim, merge)
                    elif kind == "matching":
                        rest = browsing_rules.without_group(inside, version)
                        found = txn.delete(filter={"group": version})
                        assert found == len(inside) - len(rest)
                        inside = rest
                    else:
                        check_content(txn, inside, self.bits, seed)
                if fail:
                    raise OnPurpose
        except OnPurpose:
            return
        self.model = inside

    @rule(names=id_lists, seed=seeds)
    def failed_insert(self, names: list[Id], seed: int) -> None:
        """A NaN in the last document: nothing of the call is kept."""
        fresh = [name for name in names if name not in self.model]
        assume(fresh)
        vectors = [entry.vectors.copy() for entry in self.entries(fresh, 1)]
        vectors[-1][-1, seed % self.dim] = np.nan
        assert self.db is not None
        with pytest.raises(mvdb.InvalidInputError, match="not finite"):
            self.db.insert(fresh, vectors)

    @rule(names=id_lists, version=versions, size=st.integers(1, 3))
    def stream(self, names: list[Id], version: int, size: int) -> None:
        """insert_batches skips what is there."""
        assert self.db is not None
        entries = self.entries(names, version)
        batches = [
            {
                "ids": names[at : at + size],
                "embeddings": [entry.vectors for entry in entries[at : at + size]],
                "texts": [entry.text for entry in entries[at : at + size]],
                "metadata": [entry.metadata for entry in entries[at : at + size]],
            }
            for at in range(0, len(names), size)
        ]
        new = [name for name in names if name not in self.model]
        assert self.db.insert_batches(batches, commit_every=4) == len(new)
        self.apply(self.model, new, version)

    # ---- upkeep ----

    @rule()
    def optimize(self) -> None:
        assert self.db is not None
        self.db.optimize()
        stats = self.db.stats()
        assert stats.deleted_share == 0
        # Two neighbours are more than one segment may hold, else they were one.
        assert stats.segments <= 1 + 2 * stats.tokens // self.most
        with self.db._engine.environment.read() as txn:
            assert unpublished.load(txn) == {}

    @rule(away=st.booleans())
    def index_words_anew(self, away: bool) -> None:
        """The lexical index is dropped and made again, or its parameters change."""
        assert self.db is not None
        if away:
            self.db.optimize(lexical=False)
            assert self.db.stats().bytes["words"] == 0
        self.db.optimize(lexical={"k1": 0.9 if away else 1.2})

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def compact(self) -> None:
        assert self.db is not None
        self.db.compact()

    @precondition(lambda self: self.snapshot is None)
    @rule(readonly=st.booleans())
    def reopen(self, readonly: bool) -> None:
        assert self.db is not None
        self.db.close()
        if readonly:
            with mvdb.open(self.path, readonly=True) as db:
                check_content(db, self.model, self.bits)
        self.db = self.open()

    @rule(compacted=st.booleans())
    def copy(self, compacted: bool) -> None:
        assert self.db is not None
        target = self.folder / "copy"
        if compacted:
            self.db.compact(target)
        else:
            self.db.backup(target)
        with mvdb.open(target, readonly=True) as db:
            check_content(db, self.model, self.bits)
        target.unlink()

    # ---- snapshots ----

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def open_snapshot(self) -> None:
        assert self.db is not None
        self.snapshot = self.db.snapshot()
        self.frozen = dict(self.model)

    @precondition(lambda self: self.snapshot is not None)
    @rule(seed=seeds)
    def read_snapshot(self, seed: int) -> None:
        """It shows what was, whatever was written since."""
        assert self.snapshot is not None
        check_content(self.snapshot, self.frozen, self.bits, seed)
        browsing_rules.check_browsing(self.snapshot, self.frozen, "group", None, False, 5)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def close_snapshot(self) -> None:
        assert self.snapshot is not None
        self.snapshot.close()
        self.snapshot = None

    # ---- reading ----

    @rule(
        seed=seeds,
        tokens=st.integers(1, 6),
        k=st.integers(1, 40),
        exact=st.booleans(),
        group=st.integers(0, 4),
        threshold=st.floats(0, 1),
        among=st.none() | st.lists(ids, max_size=10),
        min_score=st.none() | st.floats(-1, 2),
    )
    def search(
        self,
        seed: int,
        tokens: int,
        k: int,
        exact: bool,
        group: int,
        threshold: float,
        among: list[Id] | None,
        min_score: float | None,
    ) -> None:
        """All restrictions at once, against a loop over the model."""
        assert self.db is not None
        query = make_query(seed, self.dim, tokens)
        names = list(self.model)
        stored = dict(zip(names, self.db.vectors(names), strict=True))
        condition = {"$or": [{"group": group}, {"nested.score": {"$gte": threshold}}]}
        fits = {
            name: score
            for name, score in brute_force(query, stored).items()
            if _fits(self.model[name].metadata, group, threshold)
            and (among is None or name in among)
        }
        hits = self.db.search(query, k, filter=condition, ids=among, exact=exact)
        check_hits(hits, fits, k, tokens, complete=exact)
        everything = self.db.search(
            query, k, filter=condition, ids=among, candidates=len(self.model) + 1
        )
        check_hits(everything, fits, k, tokens)
        if min_score is not None:
            kept = self.db.search(
                query, k, filter=condition, ids=among, exact=exact, min_score=min_score
            )
            expected = [hit.id for hit in hits if hit.score >= min_score]
            assert [hit.id for hit in kept] == expected
        batch = self.db.search_batch([query, query], k, filter=condition, ids=among, exact=exact)
        for row in batch:
            assert [(h.id, h.score) for h in row] == [(h.id, h.score) for h in hits]

    @rule(seed=seeds, names=st.lists(ids, max_size=10), k=st.none() | st.integers(1, 5))
    def rerank(self, seed: int, names: list[Id], k: int | None) -> None:
        assert self.db is not None
        query = make_query(seed, self.dim)
        known = [name for name in IDS if name in names and name in self.model]
        stored = dict(zip(known, self.db.vectors(known), strict=True))
        limit = len(known) if k is None else k
        scores = brute_force(query, stored)
        check_hits(self.db.rerank(query, names, k), scores, limit, len(query))
        for name in known:
            assert abs(self.db.explain(query, name).score - scores[name]) < 1e-3

    @invariant()
    def the_basics_agree(self) -> None:
        if self.db is None:
            return
        assert len(self.db) == len(self.model)
        assert list(self.db.ids()) == sorted(self.model, key=id_order)

    @rule()
    def everything(self) -> None:
        """Verification and a comparison of all there is."""
        assert self.db is not None
        report = self.db.verify()
        assert report.ok, report.problems
        assert report.documents == len(self.model)
        stored = check_content(self.db, self.model, self.bits)
        _check_unknown(self.db)
        for name, entry in self.model.items():
            check_vectors(name, stored[name], entry, self.bits)


def _fits(metadata: dict[str, Any] | None, group: int, threshold: float) -> bool:
    if metadata is None:
        return False
    return metadata["group"] == group or metadata["nested"]["score"] >= threshold


def _check_unknown(db: Readable) -> None:
    assert "nobody" not in db
    assert db.get(["nobody", 1 << 40]) == [None, None]
    with pytest.raises(mvdb.NotFoundError):
        db.vectors("nobody")


TestDatabase = DatabaseMachine.TestCase
