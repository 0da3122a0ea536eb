"""The invariants of tenants in docs/format.md, each broken by a file whose checksums fit."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import mvdb
from mvdb.documents import tenants
from mvdb.storage.format import Kind
from tests.corrupt.bombs import Change, named, reseal
from tests.corrupt.test_invariants import DOCS
from tests.helpers import DIM, fill, matrix

NAMES = ("a", "b", "c")


def numbered(name: str, number: int) -> Change:
    """Sets the number of a name; of the empty name: the last number given."""
    wanted = tenants.PREFIX + name.encode()
    return lambda table, key, kind, body: (
        struct.pack("<I", number) if kind == Kind.TENANT and key == wanted else None
    )


OPENING: dict[str, tuple[bool, Change, str]] = {
    "settings and ids: no tenants": (
        False,
        named(b"settings", lambda body: body + struct.pack("<I", 1)),
        "has no tenant",
    ),
    "settings and ids: tenants": (True, named(b"settings", lambda body: body[:8]), "has a tenant"),
    "settings: tenants": (
        True,
        named(b"settings", lambda body: body[:8] + struct.pack("<I", 2)),
        "tenants 2 is impossible",
    ),
}
VERIFIED: dict[str, tuple[Change, str]] = {
    "tenants: distinct": (numbered("a", 2), "3 names of 2 numbers"),
    "tenants: last": (numbered("", 2), "number 3, the last is 2"),
    "tenants: zero": (numbered("a", 0), "number 0"),
    "tenants and ids": (numbered("c", 1), "belongs to no tenant"),
}


def made(path: Path, *, separates: bool) -> None:
    """A file of a few documents, with several tenants or without."""
    with mvdb.open(path, dim=DIM, tenants=separates, background=False) as db:
        if not separates:
            fill(db, 5)
            return
        for name in NAMES:
            db.insert(["x", 1], [matrix(1), matrix(2)], tenant=name)


@pytest.mark.parametrize("name", OPENING)
def test_a_broken_switch_is_refused_at_opening(tmp_path: Path, name: str) -> None:
    separates, change, says = OPENING[name]
    path = tmp_path / "a.mvdb"
    made(path, separates=separates)
    assert reseal(path, change)
    with pytest.raises(mvdb.CorruptionError, match=says):
        mvdb.open(path)


@pytest.mark.parametrize("name", VERIFIED)
def test_verify_sees_a_broken_name(tmp_path: Path, name: str) -> None:
    change, says = VERIFIED[name]
    path = tmp_path / "a.mvdb"
    made(path, separates=True)
    assert reseal(path, change)
    with mvdb.open(path, background=False) as db:
        assert any(says in one for one in db.verify().problems)
        if name == "tenants: zero":
            with pytest.raises(mvdb.CorruptionError, match=says):
                db.search(matrix(1), tenant="a")


def test_a_name_that_is_lost_is_not_guessed(tmp_path: Path) -> None:
    """Where two names claim a number, a choice might show the documents of one tenant to
    another."""
    path = tmp_path / "a.mvdb"
    made(path, separates=True)
    assert reseal(path, numbered("a", 2))
    for at, dst in enumerate([tmp_path / "b.mvdb", tmp_path / "c.mvdb"]):
        mvdb.repair(path if at == 0 else tmp_path / "b.mvdb", dst)
        with mvdb.open(dst) as db:
            assert db.count(tenant="c") == 2
            assert sum(db.tenants().values()) == 6
            assert sum(count for name, count in db.tenants().items() if "lost" in name) >= 2
            assert db.count(tenant="b") in (0, 2)
            assert db.verify().ok


def test_the_docs_have_each_invariant() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [name for name in (*OPENING, *VERIFIED) if f"`{name}`" not in text]
    assert not missing, "name them in the table of docs/format.md"
