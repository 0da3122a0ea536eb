"""Random operations of many tenants on one file: no call ever shows a document of another tenant.

    python -m tests.property.tenant_operations --operations 1000000 --seed 7

The tenants use the same few ids, and each document's text and metadata name its tenant and a number
of its own, so that a document in the wrong hands is seen. After each operation the result is
compared with a dict for each tenant. The limits are so low that segments get lists, are merged at
commits and in the background, and centroids are added.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import mvdb
from mvdb.api.readable import Readable
from mvdb.limits import Limits
from tests.support.model import id_order, make_query
from tests.support.opening import by_lists, opened

DIM = 8
TENANTS = [
    "a",
    "aa",
    "a\0",
    "b",
    "É",
    "x" * 500,
    "x" * 499 + "y",
    "1",
    "the large one",
    "\U0010ffff",
]
IDS: list[str | int] = [*range(12), *map(str, range(12)), "id" * 250]
LIMITS = Limits(
    train_documents=40,
    listed_tokens=60,
    cluster_documents=4,
    fanout=3,
    commit_tokens=150,
    extended_at_once=50,
    growth=1.5,
)

Model = dict[str, dict[str | int, int]]
"""By tenant the number of each document, by its id."""


@dataclass
class Run:
    """One run on one file; the random numbers decide everything but the background's times."""

    path: Path
    random: Random
    model: Model = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    next: int = 0

    def open(self) -> mvdb.Database:
        """The file, by plans that the random numbers choose."""
        limits = by_lists(LIMITS) if self.random.random() < 0.5 else LIMITS
        background = self.random.random() < 0.3
        return opened(
            self.path, limits, dim=DIM, tenants=True, durability="relaxed", background=background
        )

    def run(self, operations: int) -> None:
        """Makes so many operations; AssertionError for the first wrong result."""
        while self.done.total() < operations:
            with self.open() as db:
                for _ in range(min(self.random.randrange(1, 4000), operations)):
                    self.operate(db)
                assert db.tenants() == {name: len(own) for name, own in sorted(self.model.items())}
                assert db.verify().ok

    def operate(self, db: mvdb.Database) -> None:
        """One operation."""
        kinds = {
            self.search: 55,
            self.read: 15,
            self.put: 12,
            self.delete: 6,
            self.update: 4,
            self.roll_back: 3,
            self.delete_tenant: 1,
            self.look_back: 3,
        }
        (call,) = self.random.choices(list(kinds), list(kinds.values()))
        self.done[call.__name__] += 1
        call(db)
        if self.random.random() < 0.002:
            self.done["optimize"] += 1
            db.optimize()

    # ---- writes ----

    def tenant(self) -> str:
        """A tenant, the large one most often."""
        return self.random.choice(TENANTS) if self.random.random() < 0.6 else "the large one"

    def put(self, db: mvdb.Database) -> None:
        """Upserts documents of several tenants in one call."""
        self._put(db, self.model)

    def _put(self, target: mvdb.Database | mvdb.Transaction, model: Model) -> None:
        chosen = {
            (self.tenant(), self.random.choice(IDS)) for _ in range(self.random.randrange(1, 12))
        }
        pairs = sorted(chosen, key=repr)
        numbers = range(self.next, self.next + len(pairs))
        self.next += len(pairs)
        target.upsert(
            [id for _, id in pairs],
            [make_query(number, DIM, self.random.randrange(1, 6)) for number in numbers],
            texts=[
                f"{tenant} {number}" for (tenant, _), number in zip(pairs, numbers, strict=True)
            ],
            metadata=[
                {"owner": tenant, "number": number, "group": number % 5}
                for (tenant, _), number in zip(pairs, numbers, strict=True)
            ],
            tenant=[tenant for tenant, _ in pairs],
        )
        for (tenant, id), number in zip(pairs, numbers, strict=True):
            model.setdefault(tenant, {})[id] = number

    def delete(self, db: mvdb.Database) -> None:
        """Deletes by ids or by a filter."""
        tenant = self.tenant()
        own = self.model.get(tenant, {})
        if self.random.random() < 0.5:
            ids = self.random.sample(IDS, 3)
            doomed = [id for id in ids if id in own]
            assert db.delete(ids, tenant=tenant) == len(doomed)
        else:
            group = self.random.randrange(5)
            doomed = [id for id, number in own.items() if number % 5 == group]
            assert db.delete(filter={"group": group}, tenant=tenant) == len(doomed)
        for id in doomed:
            del own[id]

    def update(self, db: mvdb.Database) -> None:
        """Updates the metadata of a document with its own."""
        tenant = self.tenant()
        own = self.model.get(tenant, {})
        id = self.random.choice(IDS)
        try:
            db.update(id, metadata={"more": True}, merge=True, tenant=tenant)
            assert id in own
        except mvdb.NotFoundError:
            assert id not in own

    def delete_tenant(self, db: mvdb.Database) -> None:
        """Deletes a tenant."""
        tenant = self.random.choice(TENANTS)
        assert db.delete_tenant(tenant) == len(self.model.pop(tenant, {}))

    def roll_back(self, db: mvdb.Database) -> None:
        """A transaction that sees its own writes, and leaves nothing."""
        model = {tenant: dict(own) for tenant, own in self.model.items()}
        with db.transaction() as txn:
            for _ in range(2):
                self._put(txn, model)
                doomed = self.random.choice(TENANTS)
                if self.random.random() < 0.2:
                    assert txn.delete_tenant(doomed) == len(model.pop(doomed, {}))
                self.check_search(txn, model)
                self.check_read(txn, model)
            txn.rollback()

    # ---- reads ----

    def search(self, db: mvdb.Database) -> None:
        """A search."""
        self.check_search(db, self.model)

    def read(self, db: mvdb.Database) -> None:
        """A call without a query."""
        self.check_read(db, self.model)

    def look_back(self, db: mvdb.Database) -> None:
        """A snapshot during writes."""
        frozen = {tenant: dict(own) for tenant, own in self.model.items()}
        with db.snapshot() as snapshot:
            self.put(db)
            self.delete(db)
            self.check_search(snapshot, frozen)
            self.check_read(snapshot, frozen)

    def check_search(self, source: Readable, model: Model) -> None:
        """A search by any way: the hits are documents of the tenant; all, where all were asked
        for."""
        random, tenant = self.random, self.tenant()
        own = model.get(tenant, {})
        query, k = make_query(random.randrange(1000), DIM), random.choice([1, 3, 1000])
        options: dict[str, Any] = {"tenant": tenant}
        wanted = dict(own)
        if random.random() < 0.3:
            group = random.randrange(5)
            options["filter"] = {"group": group}
            wanted = {id: number for id, number in wanted.items() if number % 5 == group}
        if random.random() < 0.3:
            ids = random.sample(IDS, random.randrange(6))
            options["ids"] = ids
            wanted = {id: number for id, number in wanted.items() if id in ids}
        for name, values in {
            "exact": [True, False],
            "nprobe": [1, 1000],
            "candidates": [1, 1000],
            "diversity": [0.0, 0.5],
            "offset": [0, 2],
            "fields": [("text", "metadata")],
        }.items():
            if random.random() < 0.2:
                options[name] = random.choice(values)
        way = random.randrange(12)
        if way == 0:
            hits = source.rerank(query, list(wanted), tenant=tenant)
            options["offset"] = 0
            k = 1000
        elif way == 1 and own:
            like = random.choice(list(own))
            wanted.pop(like, None)
            hits = source.more_like(like, k, **options)
        elif way == 2:
            hits = source.search_batch([query, query], k, threads=2, **options)[1]
        elif way in (3, 4):
            words = f"{random.choice(TENANTS)} {random.randrange(self.next + 1)}"
            hits = source.search(None if way == 3 else query, k, text=words, **options)
        else:
            hits = source.search(query, k, **options)
        expected = max(0, min(k, len(wanted) - options.get("offset", 0)))
        assert len(hits) == expected or (way == 3 and len(hits) < expected), (tenant, options)
        assert len({hit.id for hit in hits}) == len(hits)
        for hit in hits:
            self.check(tenant, wanted[hit.id], hit.text, hit.metadata)

    def check(self, tenant: str, number: int, text: str | None, metadata: Any) -> None:
        """That a document is the one that the model has."""
        assert text == f"{tenant} {number}"
        assert (metadata["owner"], metadata["number"]) == (tenant, number)

    def check_read(self, source: Readable, model: Model) -> None:
        """All ways to read documents without a query."""
        tenant = self.tenant()
        own = model.get(tenant, {})
        names = sorted(own, key=id_order)
        assert list(source.ids(tenant=tenant)) == names
        assert source.count(tenant=tenant) == len(own)
        way = self.random.randrange(4)
        if way == 0:
            for id, document in zip(IDS, source.get(IDS, tenant=tenant), strict=True):
                assert (document is not None) == (id in own)
                if document is not None:
                    self.check(tenant, own[id], document.text, document.metadata)
            stored = source.vectors(names, tenant=tenant)
            query = make_query(3, DIM)
            if names:
                score = source.explain(query, names[0], tenant=tenant).score
                assert np.isclose(score, (query @ stored[0].T).max(1).sum(), atol=1e-3)
        elif way == 1:
            found = list(source.documents(tenant=tenant))
            assert [one.id for one in found] == names
            for one in found:
                self.check(tenant, own[one.id], one.text, one.metadata)
        elif way == 2:
            found = list(source.documents(order_by="number", descending=True, tenant=tenant))
            assert [one.id for one in found] == sorted(own, key=lambda id: -own[id])
        else:
            owners = source.facets("owner", tenant=tenant)
            assert owners == ([(tenant, len(own))] if own else [])


def main() -> None:
    """Command line: see the module's docstring."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    options.add_argument("--operations", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "tenants.mvdb", Random(chosen.seed))
        with suppress(KeyboardInterrupt):  # what was done until then is said
            run.run(chosen.operations)
    print(
        f"seed {chosen.seed}: {run.done.total()} calls ({dict(run.done)}), {run.next} documents "
        f"put, {time.monotonic() - start:.0f} s, none wrong"
    )


if __name__ == "__main__":
    main()
