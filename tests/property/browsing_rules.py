"""Rules of the state machine for updates of metadata and for questions without a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

import mvdb
from mvdb.api.readable import Readable
from tests.catalogue import browse_model, brute
from tests.property.drawn import id_lists, ids, versions
from tests.support.model import Entry, Id, Model, id_order, make_entry

FIELDS = ("version", "group", "lang", "nested.score", "nested.tags", "odd", "nested", "nothing")


def updated(model: Model, names: Sequence[Id], version: int, dim: int, merge: bool) -> Model:
    """The documents with the metadata that another version of them has."""
    result = dict(model)
    for name in names:
        old, new = result[name].metadata, make_entry(name, version, dim).metadata
        if merge:
            new = old if new is None else {**(old or {}), **new}
        result[name] = replace(result[name], metadata=new)
    return result


def update(target: Any, names: Sequence[Id], version: int, merge: bool) -> None:
    """The call that does the same."""
    entries = [make_entry(name, version, target.dim) for name in names]
    target.update(names, metadata=[entry.metadata for entry in entries], merge=merge)


def update_and_compare(target: Any, names: Sequence[Id], version: int, merge: bool) -> None:
    """`update`; the vectors stay. They are read before: what waits to be written is written."""
    before = [rows.tobytes() for rows in target.vectors(names)]
    update(target, names, version, merge)
    assert [rows.tobytes() for rows in target.vectors(names)] == before


def without_group(model: Model, group: int) -> Model:
    """The documents that the filter {"group": group} does not match."""
    return {name: entry for name, entry in model.items() if not _is_in(entry, group)}


def _is_in(entry: Entry, group: int) -> bool:
    return (entry.metadata or {}).get("group") == group


def check_browsing(
    db: Readable, model: Model, field: str, group: int | None, descending: bool, size: int
) -> None:
    """Counts, facets and lists against a loop over the model; lists in pages of `size`."""
    filter = None if group is None else {"group": group}
    fits = {
        name: entry.metadata
        for name, entry in model.items()
        if filter is None or brute.matches(entry.metadata, filter)
    }
    assert db.count(filter) == len(fits)
    counted = [(browse_model.rank(v), n) for v, n in db.facets(field, filter=filter)]
    assert counted == browse_model.facets(fits, field)
    assert list(db.ids(filter)) == sorted(fits, key=id_order)
    found: list[mvdb.Document] = []
    after: Any = None
    while page := list(
        db.documents(filter, order_by=field, descending=descending, after=after, limit=size)
    ):
        found += page
        assert len(found) <= len(fits), "pages repeat documents"
        after = page[-1].id if size % 2 else page[-1]
    expected = browse_model.listed(fits, field, descending=descending)
    assert [document.id for document in found] == expected
    for document in found:
        entry = model[document.id]
        assert (document.text, document.metadata) == (entry.text, entry.metadata)


class BrowsingRules(RuleBasedStateMachine):
    """The machine has a database `db`, its dimension `dim` and the `model` of its content."""

    db: mvdb.Database | None
    dim: int
    model: Model

    @rule(names=id_lists, version=versions, merge=st.booleans())
    def update_known(self, names: list[Id], version: int, merge: bool) -> None:
        known = [name for name in names if name in self.model]
        assert self.db is not None
        update_and_compare(self.db, known, version, merge)
        self.model = updated(self.model, known, version, self.dim, merge)

    @rule(names=id_lists, unknown=ids)
    def update_unknown(self, names: list[Id], unknown: Id) -> None:
        """No document is changed."""
        assert self.db is not None
        if unknown not in self.model:
            chosen = [name for name in names if name != unknown]
            with pytest.raises(mvdb.NotFoundError):
                self.db.update([*chosen, unknown], metadata={"wrong": True})

    @rule(group=st.integers(0, 4))
    def delete_matching(self, group: int) -> None:
        assert self.db is not None
        rest = without_group(self.model, group)
        assert self.db.delete(filter={"group": group}) == len(self.model) - len(rest)
        self.model = rest

    @rule(
        field=st.sampled_from(FIELDS),
        group=st.none() | st.integers(0, 4),
        descending=st.booleans(),
        size=st.integers(1, 9),
    )
    def browse(self, field: str, group: int | None, descending: bool, size: int) -> None:
        assert self.db is not None
        check_browsing(self.db, self.model, field, group, descending, size)
