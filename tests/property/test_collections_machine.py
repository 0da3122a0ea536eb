"""Random transactions over several collections of one file, against one dict for each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import mvdb
from mvdb.limits import Limits
from tests.support import opening
from tests.support.model import Id, Model, check_content, make_entry

NAMES = ("mail", "calendar")
ROOT = ""
"""The file's own database among the collections."""
DIMS = {ROOT: 3, "mail": 5, "calendar": 3}
BITS = {ROOT: 4, "mail": 16, "calendar": 2}

names = st.sampled_from([ROOT, *NAMES])
ids = st.one_of(st.integers(0, 12), st.sampled_from(["a", "b", "1"]))
changes = st.lists(
    st.tuples(names, st.sampled_from(["upsert", "delete"]), ids, st.integers(0, 5)),
    min_size=1,
    max_size=12,
)


class OnPurpose(Exception):
    """Rolls a transaction back."""


class CollectionsMachine(RuleBasedStateMachine):
    """A file, the model of each of its collections that are there, and at most one snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mvdb-collections-"))
        self.path = self.folder / "machine.mvdb"
        self.models: dict[str, Model] = {ROOT: {}}
        self.db: mvdb.Database | None = None
        self.snapshot: mvdb.Snapshot | None = None
        self.frozen: dict[str, Model] = {}

    @initialize(train=st.integers(3, 25), kept=st.sampled_from([1, 256]), tight=st.booleans())
    def create(self, train: int, kept: int, tight: bool) -> None:
        self.limits = Limits(
            train_documents=train,
            flush_bytes=2000,
            base_tokens=16,
            fanout=3,
            kept_collections=kept,
            roomy_bytes=1 << 62 if tight else 0,  # with a journal, or without
        )
        self._open()

    def _open(self) -> None:
        self.db = opening.opened(
            self.path, self.limits, dim=DIMS[ROOT], bits=BITS[ROOT], background=False
        )

    def _collection(self, name: str) -> mvdb.Database:
        assert self.db is not None
        return self.db if name == ROOT else self.db.collection(name)

    @rule(name=st.sampled_from(NAMES))
    def make(self, name: str) -> None:
        assert self.db is not None
        self.db.collection(name, dim=DIMS[name], bits=BITS[name])
        self.models.setdefault(name, {})

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        assert self.db is not None
        if name in self.models:
            handle = self.db.collection(name)
            self.db.drop_collection(name)
            del self.models[name]
            try:
                len(handle)
                raise AssertionError("a dropped collection answers")
            except mvdb.ClosedError:
                pass

    @rule(steps=changes, keep=st.booleans(), look=st.booleans())
    def transact(self, steps: list[tuple[str, str, Id, int]], keep: bool, look: bool) -> None:
        assert self.db is not None
        changed = {name: dict(model) for name, model in self.models.items()}
        try:
            with self.db.transaction() as txn:
                for name, what, document, version in steps:
                    if name not in changed:
                        continue
                    part = txn if name == ROOT else txn.collection(name)
                    if what == "delete":
                        there = changed[name].pop(document, None) is not None
                        assert part.delete(document) == there
                    else:
                        entry = make_entry(document, version, DIMS[name])
                        changed[name][document] = entry
                        part.upsert(
                            document, entry.vectors, texts=entry.text, metadata=entry.metadata
                        )
                if look:
                    for name, model in changed.items():
                        part = txn if name == ROOT else txn.collection(name)
                        check_content(part, model, BITS[name])
                if not keep:
                    raise OnPurpose
        except OnPurpose:
            return
        self.models = changed

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def freeze(self) -> None:
        assert self.db is not None
        self.snapshot, self.frozen = self.db.snapshot(), dict(self.models)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def thaw(self) -> None:
        assert self.snapshot is not None
        assert self.snapshot.collections() == sorted(self.frozen.keys() - {ROOT})
        for name, model in self.frozen.items():
            part = self.snapshot if name == ROOT else self.snapshot.collection(name)
            check_content(part, model, BITS[name])
        self.snapshot.close()
        self.snapshot = None

    @precondition(lambda self: self.snapshot is None)
    @rule(compact=st.booleans())
    def reopen(self, compact: bool) -> None:
        assert self.db is not None
        if compact:
            self.db.compact()
        self.db.close()
        self._open()

    @rule(name=names)
    def optimize(self, name: str) -> None:
        if name in self.models:
            self._collection(name).optimize()

    @invariant()
    def holds_the_models(self) -> None:
        if self.db is None:
            return
        assert self.db.collections() == sorted(self.models.keys() - {ROOT})
        for name, model in self.models.items():
            check_content(self._collection(name), model, BITS[name])
        report = self.db.verify()
        assert report.ok, report.problems
        assert report.documents == sum(map(len, self.models.values()))

    def teardown(self) -> None:
        if self.snapshot is not None:
            self.snapshot.close()
        if self.db is not None:
            self.db.close()
        shutil.rmtree(self.folder)


TestCollections = CollectionsMachine.TestCase
