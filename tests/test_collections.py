"""Collections: several databases in one file, under one transaction."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.limits import Limits
from mvdb.storage.format import TABLES
from tests.helpers import DIM, FakeEncoder, fill, matrix
from tests.support.opening import opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


def contents(db: Any) -> dict[Any, tuple[Any, ...]]:
    """Everything in a database, snapshot or transaction."""
    names = list(db.ids())
    return {
        name: (document.text, document.metadata, rows.tobytes())
        for name, document, rows in zip(names, db.get(names), db.vectors(names), strict=True)
    }


# ---- apart ----


def test_collections_keep_apart_what_has_the_same_ids(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail, calendar = db.collection("mail", dim=4), db.collection("calendar", dim=DIM, bits=4)
        fill(db, 5)
        fill(mail, 7)
        fill(calendar, 9)
        calendar.delete([0, 1])
        mail.insert("only here", matrix(1, dim=4), texts="mail's")
        assert (len(db), len(mail), len(calendar)) == (5, 8, 7)
        assert "only here" in mail
        assert "only here" not in db
        assert db.get(0)[0] is not None
        assert calendar.get(0) == [None]
        assert list(db.ids()) == list(range(5))
        assert list(calendar.ids()) == list(range(2, 9))
        assert (mail.dim, calendar.bits, mail.name, db.name) == (4, 4, "mail", None)
        expected = [contents(one) for one in (db, mail, calendar)]
    with mvdb.open(path) as db:
        assert db.collections() == ["calendar", "mail"]
        found = [contents(one) for one in (db, db.collection("mail"), db.collection("calendar"))]
        assert found == expected
        report = db.verify()
        assert report.ok
        assert report.documents == 20


def test_search_finds_documents_of_its_own_collection_alone(path: Path) -> None:
    """The scores are those of a file with these documents alone."""
    alone = path.with_name("alone.mvdb")
    with mvdb.open(path, dim=DIM) as db, mvdb.open(alone, dim=DIM) as other:
        mail = db.collection("mail", dim=DIM)
        fill(db, 1500)
        fill(mail, 1200, first=300)
        fill(other, 1200, first=300)
        for options in ({}, {"filter": {"even": True}}, {"exact": True}):
            for seed in range(5):
                hits, expected = (one.search(matrix(seed), 20, **options) for one in (mail, other))
                assert [(hit.id, hit.score) for hit in hits] == [
                    (hit.id, hit.score) for hit in expected
                ]
        assert mail.stats().to_dict().keys() == other.stats().to_dict().keys()
        own, theirs = mail.stats(), other.stats()
        tables = {"table_ids", "table_centroids"}  # whole pages; with longer keys
        assert {part for part in own.bytes if own.bytes[part] != theirs.bytes[part]} <= tables
        assert own.documents == 1200
        assert 0 < own.bytes["table_ids"] < own.file_bytes


def test_a_file_without_collections_is_the_same_as_ever(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 20)
        assert db.collections() == []
        with db._engine.environment.read() as txn:
            assert txn.get("meta", b"collections") is None
            assert not any(map(txn.collection_numbers, TABLES))


def test_words_are_indexed_as_in_the_file(path: Path) -> None:
    for lexical in (True, False):
        file = path.with_name(f"{lexical}.mvdb")
        with mvdb.open(file, dim=DIM, lexical=lexical) as db:
            mail = db.collection("mail", dim=DIM)
            fill(db, 3)
            fill(mail, 9)
            mail.insert("x", matrix(50), texts="error E1234 again")
            if lexical:
                assert [hit.id for hit in mail.search("E1234", mode="lexical")] == ["x"]
                assert db.search("E1234", mode="lexical") == []
            else:
                with pytest.raises(mvdb.InvalidInputError, match="lexical"):
                    mail.search("E1234", mode="lexical")
                mail.optimize(lexical=True)
                assert [hit.id for hit in mail.search("E1234", mode="lexical")] == ["x"]
            assert db.verify().ok


def test_collections_of_a_file_with_tenants_separate_them(path: Path) -> None:
    out = path.with_name("out.mvdb")
    with mvdb.open(path, dim=DIM, tenants=True) as db:
        mail = db.collection("mail", dim=DIM)
        with pytest.raises(mvdb.InvalidInputError, match="tenant"):
            mail.insert(1, matrix(1))
        mail.insert("x" * 500, matrix(1), texts="ann's", tenant="ann")
        mail.insert("x" * 500, matrix(2), texts="bob's", tenant="bob")
        db.insert("x" * 500, matrix(3), texts="the file's", tenant="ann")
        assert [hit.text for hit in mail.search(matrix(1), tenant="ann")] == ["ann's"]
        assert mail.tenants() == {"ann": 1, "bob": 1}
        assert db.tenants() == {"ann": 1}
        mail.delete_tenant("ann")
        assert mail.tenants() == {"bob": 1}
        assert db.count(tenant="ann") == 1
        assert db.verify().ok
    assert mvdb.repair(path, out).recovered == 2
    with mvdb.open(out) as db:
        assert [hit.text for hit in db.collection("mail").search(matrix(1), tenant="bob")] == [
            "bob's"
        ]
        assert db.verify().ok


def test_names_are_any_text(path: Path) -> None:
    names = [
        "a",
        "A",
        "é",
        "e\u0301",
        "with space",
        "/",
        "日本",
        "x" * 200,
        "é" * 100,
        "\U0001f600",
    ]
    with mvdb.open(path, dim=DIM) as db:
        for i, name in enumerate(names):
            db.collection(name, dim=DIM).insert(i, matrix(i))
    with mvdb.open(path) as db:
        assert db.collections() == sorted(names)
        for i, name in enumerate(names):
            assert list(db.collection(name).ids()) == [i]


def test_ids_of_any_length_fit(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        mail.insert("x" * 500, matrix(1))
        assert "x" * 500 in mail
        assert list(mail.ids()) == ["x" * 500]


# ---- opening ----


def test_settings_are_checked_as_those_of_a_file(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        with pytest.raises(
            mvdb.InvalidInputError, match="dim is needed to create the collection 'm"
        ):
            db.collection("mail")
        db.collection("mail", dim=4, bits=4)
        assert db.collection("mail").bits == 4
        with pytest.raises(mvdb.DimensionMismatch, match=r"collection 'mail'.* dim 4, not 8"):
            db.collection("mail", dim=8)
        with pytest.raises(mvdb.InvalidInputError, match="bits=4, which is fixed"):
            db.collection("mail", bits=2)
        with pytest.raises(mvdb.DimensionMismatch, match="gives vectors of dim 8"):
            db.collection("new", dim=4, encoder=FakeEncoder(dim=8))
        assert db.collections() == ["mail"]


def test_readonly_makes_none(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db.collection("mail", dim=DIM), 3)
    with mvdb.open(path, readonly=True) as db:
        mail = db.collection("mail")
        assert len(mail) == 3
        with pytest.raises(mvdb.NotFoundError, match="no collection 'none'"):
            db.collection("none", dim=DIM)
        with pytest.raises(mvdb.ReadOnlyError):
            mail.delete(1)
        with pytest.raises(mvdb.ReadOnlyError):
            db.drop_collection("mail")


def test_collections_do_not_nest(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        calls = (
            mail.collections,
            lambda: mail.collection("x", dim=DIM),
            lambda: mail.drop_collection("mail"),
            mail.compact,
        )
        for call in calls:
            with pytest.raises(mvdb.InvalidInputError, match="ask the database of the file"):
                call()
        with mail.transaction() as txn, pytest.raises(mvdb.InvalidInputError):
            txn.collection("mail")
        with mail.snapshot() as snap, pytest.raises(mvdb.InvalidInputError):
            snap.collection("mail")


def test_an_encoder_belongs_to_its_collection(path: Path) -> None:
    with mvdb.open(path, dim=4) as db:
        mail = db.collection("mail", encoder=FakeEncoder("one"))
        mail.insert([1, 2], texts=["red apples", "green pears"])
        assert mail.search("red apples", 1)[0].id == 1
        assert db.collection("mail").search("green pears", 1)[0].id == 2
        with db.transaction() as txn:
            txn.collection("mail").insert(3, texts="blue plums")
        with db.snapshot() as snap:
            assert snap.collection("mail").search("blue plums", 1)[0].id == 3
        with pytest.raises(mvdb.InvalidInputError, match="needs an encoder"):
            db.search("red", mode="dense")
        assert mail.stats().encoder == "one"
        assert db.stats().encoder is None
        with pytest.warns(UserWarning, match="encoder 'one'"):
            other = db.collection("mail", encoder=FakeEncoder("two"))
        with pytest.raises(mvdb.EncoderMismatchError):
            other.search("red", mode="dense")


def test_two_processes_worth_of_handles_make_one_collection(path: Path) -> None:
    """Handles of two openings, each of which finds no collection at first."""
    with mvdb.open(path, dim=DIM) as db, mvdb.open(path) as other:
        fill(db.collection("mail", dim=DIM), 3)
        fill(other.collection("mail", dim=DIM), 3, first=3)
        assert len(db.collection("mail")) == 6
        with pytest.raises(mvdb.DimensionMismatch):
            other.collection("mail", dim=3)


# ---- closing and dropping ----


def test_a_collection_without_documents_has_figures(path: Path) -> None:
    """`stats` of a collection failed with a KeyError while the whole file was empty."""
    with mvdb.open(path, dim=4) as db:
        notes = db.collection("notes", dim=8)
        for one in (db, notes):
            stats = one.stats()
            assert (stats.documents, stats.tokens, stats.bytes["table_ids"]) == (0, 0, 0)


def test_closing_a_handle_leaves_the_file_open(path: Path) -> None:
    db = mvdb.open(path, dim=DIM)
    with db.collection("mail", dim=DIM) as mail:
        fill(mail, 3)
        other = db.collection("mail")
    mail.close()
    with pytest.raises(mvdb.ClosedError):
        len(mail)
    assert len(other) == 3
    fill(db, 2)
    db.close()
    for one in (db, other):
        with pytest.raises(mvdb.ClosedError):
            len(one)
    with pytest.raises(mvdb.ClosedError):
        db.collection("mail")


def test_handles_that_are_forgotten_hold_nothing(path: Path) -> None:
    db = mvdb.open(path, dim=DIM)
    for _ in range(20):
        fill(db.collection("mail", dim=DIM), 1, first=len(db.collection("mail", dim=DIM)))
    shared = db._engine.environment._shared
    assert shared is not None
    del db
    gc.collect()
    with mvdb.open(path) as again:
        again.compact()  # refused while a handle of another opening is left
        assert len(again.collection("mail")) == 20


def test_drop(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail, calendar = db.collection("mail", dim=DIM), db.collection("calendar", dim=DIM)
        fill(mail, 1100)
        fill(calendar, 5)
        before = contents(calendar)
        hit = mail.search(matrix(3), 1)[0]
        with db.snapshot() as snap:
            db.drop_collection("mail")
            assert len(snap.collection("mail")) == 1100
            assert snap.collections() == ["calendar", "mail"]
            assert snap.collection("mail").search(matrix(3), 1)[0].text == f"text {hit.id}"
        for call in (lambda: len(mail), lambda: mail.delete(1), mail.snapshot, lambda: hit.text):
            with pytest.raises(mvdb.ClosedError, match="dropped"):
                call()
        with pytest.raises(mvdb.NotFoundError, match="no collection 'mail'"):
            db.drop_collection("mail")
        assert db.collections() == ["calendar"]
        assert contents(calendar) == before
        assert db.verify().ok
        again = db.collection("mail", dim=3)
        assert len(again) == 0
        assert again.dim == 3


def test_drop_gives_the_space_back(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 10)
        db.compact()
        before = path.stat().st_size
        fill(db.collection("mail", dim=DIM), 2000)
        db.drop_collection("mail")
        db.compact()
        assert path.stat().st_size <= before + 4096


def test_another_opening_notices_a_drop(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db, mvdb.open(path) as other:
        fill(db.collection("mail", dim=DIM), 3)
        mail = other.collection("mail")
        assert len(mail) == 3
        db.drop_collection("mail")
        with pytest.raises(mvdb.ClosedError, match="collection 'mail' has been dropped"):
            len(mail)
        fill(db.collection("mail", dim=DIM), 1)
        with pytest.raises(mvdb.ClosedError, match="dropped"):
            mail.insert(9, matrix(9))
        assert len(other.collection("mail")) == 1


def test_a_thread_with_a_transaction_cannot_make_or_drop(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        db.collection("mail", dim=DIM)
        with db.transaction() as txn:
            txn.insert(1, matrix(1))
            with pytest.raises(mvdb.BusyError):
                db.collection("new", dim=DIM)
            with pytest.raises(mvdb.BusyError):
                db.drop_collection("mail")
            txn.collection("mail").insert(1, matrix(1))
        assert (len(db), len(db.collection("mail"))) == (1, 1)


# ---- transactions ----


def test_a_transaction_across_collections_is_all_or_nothing(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail, calendar = db.collection("mail", dim=DIM), db.collection("calendar", dim=DIM)
        fill(mail, 3)
        with db.transaction() as txn:
            txn.collection("mail").upsert([0, 10], [matrix(20), matrix(21)])
            txn.collection("calendar").insert(0, matrix(22), texts="noon")
            txn.insert(0, matrix(23))
            assert txn.collection("mail").search(matrix(20), 1)[0].id == 0
            assert [len(txn), len(txn.collection("mail")), len(txn.collection("calendar"))] == [
                1,
                4,
                1,
            ]
            assert txn.collections() == ["calendar", "mail"]
            assert [len(db), len(mail), len(calendar)] == [0, 3, 0]
        assert [len(db), len(mail), len(calendar)] == [1, 4, 1]
        before = [contents(one) for one in (db, mail, calendar)]
        with suppress(mvdb.DuplicateIdError), db.transaction() as txn:
            txn.delete(0)
            txn.collection("mail").delete(0)
            with txn.collection("calendar") as part:
                part.insert(1, matrix(1))
            assert len(txn.collection("calendar")) == 2
            txn.collection("mail").insert(10, matrix(2))
            pytest.fail("the id is there")
        assert [contents(one) for one in (db, mail, calendar)] == before


def test_a_failed_write_in_one_collection_dooms_all(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        txn = db.transaction()
        txn.insert(1, matrix(1))
        with pytest.raises(mvdb.InvalidInputError):
            txn.collection("mail").insert(1, np.full((2, DIM), np.nan, np.float32))
        with pytest.raises(mvdb.Error, match="an earlier write"):
            txn.commit()
        assert (len(db), len(mail)) == (0, 0)
        with pytest.raises(mvdb.NotFoundError), db.transaction() as txn:
            txn.collection("unknown")


def test_hits_of_a_part_outlive_its_transaction(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        fill(mail, 2)
        txn = db.transaction()
        part = txn.collection("mail")
        part.insert(5, matrix(5), texts="passing")
        kept, undone = part.search(matrix(1), 1)[0], part.search(matrix(5), 1)[0]
        txn.rollback()
        mail.insert(6, matrix(6), texts="another")
        assert kept.text == "text 1"
        assert undone.text is None
        with pytest.raises(mvdb.ClosedError):
            part.insert(7, matrix(7))


def test_a_full_map_replays_the_changes_of_all_collections(path: Path) -> None:
    """Little address space: the map is full in the middle of the transaction."""
    limits = Limits(
        reserved_bytes=1 << 20, map_slack=1 << 20, map_room=1 << 16, flush_bytes=1 << 16
    )
    with opened(path, limits, dim=DIM, background=False) as db:
        mail = db.collection("mail", dim=16)
        with db.transaction() as txn:
            part = txn.collection("mail")
            for first in range(0, 6000, 500):
                fill(txn, 500, first, tokens=8)  # type: ignore[arg-type]
                fill(part, 500, first, tokens=8)  # type: ignore[arg-type]
                part.delete([first])
        assert db._engine.environment._shared.lifecycle.file.map.mapped > 1 << 20  # type: ignore
        assert (len(db), len(mail)) == (6000, 5988)
        assert db.verify().ok
        assert mail.search(matrix(77, 8, 16), 1)[0].id == 77
        db.collection("third", dim=DIM)


def test_a_snapshot_shows_all_collections_in_one_state(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        fill(db, 3)
        fill(mail, 4)
        with db.snapshot() as snap:
            part = snap.collection("mail")
            with db.transaction() as txn:
                txn.delete(0)
                txn.collection("mail").delete([0, 1])
            assert (len(snap), len(part), len(snap.collection("mail"))) == (3, 4, 4)
            assert (len(db), len(mail)) == (2, 2)
            part.close()
            assert len(snap.collection("mail")) == 4
            with pytest.raises(mvdb.NotFoundError):
                snap.collection("none")
            last = snap.collection("mail")
        with pytest.raises(mvdb.ClosedError):
            len(last)
        with mail.snapshot() as snap:
            mail.delete(2)
            assert len(snap) == 2


# ---- the whole file ----


def test_compact_and_backup_keep_all_collections(path: Path) -> None:
    copy, compacted = path.with_name("copy.mvdb"), path.with_name("compacted.mvdb")
    with mvdb.open(path, dim=DIM) as db:
        mail = db.collection("mail", dim=DIM)
        for part in range(3):
            fill(mail, 600, first=600 * part)
        mail.delete(list(range(0, 1800, 2)))
        fill(db, 3)
        before = contents(db), contents(mail)
        db.backup(copy)
        db.compact(compacted)
        db.compact()
        assert (contents(db), contents(mail)) == before
        assert mail.stats().deleted_share == 0
    for file in (path, copy, compacted):
        with mvdb.open(file, readonly=True) as db:
            assert (contents(db), contents(db.collection("mail"))) == before
            assert db.verify().ok


def test_collections_train_and_merge_by_themselves(path: Path) -> None:
    limits = Limits(train_documents=50, base_tokens=64, fanout=3)
    with opened(path, limits, dim=DIM, background=False) as db:
        mail = db.collection("mail", dim=DIM)
        for part in range(12):
            fill(mail, 40, first=40 * part)
        fill(db, 10)
        assert mail.stats().centroids > 0
        assert db.stats().centroids == 0
        mail.optimize()
        assert mail.stats().segments == 1
        assert db.verify().ok
        assert mail.search(matrix(7), 1)[0].id == 7


def test_one_budget_and_one_pool_for_all(path: Path) -> None:
    with mvdb.open(path, dim=DIM, memory=64 << 20) as db:
        mail = db.collection("mail", dim=DIM)
        assert mail._engine.queries is db._engine.queries
        assert mail._engine.resources.memory is db._engine.resources.memory


def test_repair_keeps_collections_apart(path: Path) -> None:
    out = path.with_name("out.mvdb")
    with mvdb.open(path, dim=DIM) as db:
        mail, gone = db.collection("mail", dim=4), db.collection("gone", dim=DIM)
        fill(db, 30)
        fill(mail, 1200)
        mail.delete([5, 6])
        fill(gone, 7)
        db.drop_collection("gone")
        expected = contents(db), contents(mail)
    outcome = mvdb.repair(path, out)
    assert (outcome.recovered, outcome.lost, outcome.collections_lost) == (1228, 0, ())
    with mvdb.open(out) as db:
        assert db.collections() == ["mail"]
        assert (contents(db), contents(db.collection("mail"))) == expected
        assert db.verify().ok
        fill(db.collection("new", dim=DIM), 2)


@pytest.mark.parametrize("kept", [1, 256])
def test_many_collections(path: Path, kept: int) -> None:
    """The states of those used last are kept; the others are opened again."""
    with opened(path, Limits(kept_collections=kept), dim=DIM, durability="relaxed") as db:
        for i in range(20):
            db.collection(f"c{i}", dim=DIM).insert(i, matrix(i), texts=f"text {i}")
        for _ in range(2):
            for i in range(20):
                assert db.collection(f"c{i}").search(matrix(i), 3)[0].text == f"text {i}"
        assert db.verify().blocks["collections"] == 20


def test_no_warning_for_the_same_encoder(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db, warnings.catch_warnings():
        warnings.simplefilter("error")
        db.collection("mail", encoder=FakeEncoder()).insert(1, texts="a")
        db.collection("mail", encoder=FakeEncoder()).insert(2, texts="b")


def test_asyncio_has_the_same_calls(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, dim=DIM) as db:
            async with db.collection("mail", dim=DIM) as mail:
                await mail.insert(1, matrix(1))
            other = await db.collection("mail")
            async with db.transaction() as txn:
                await txn.insert(2, matrix(2))
                async with txn.collection("mail") as part:
                    await part.insert(2, matrix(2))
                with pytest.raises(mvdb.BusyError):
                    await db.collection("new", dim=DIM)
                with pytest.raises(mvdb.BusyError):
                    await other.insert(3, matrix(3))
            assert [hit.id for hit in await other.search(matrix(2), 1)] == [2]
            async with db.snapshot() as snap, snap.collection("mail") as frozen:
                await db.drop_collection("mail")
                assert await frozen.count() == 2
                assert await snap.collections() == ["mail"]
            assert await db.collections() == []
            with pytest.raises(mvdb.ClosedError):
                await other.count()
            await db.insert(9, matrix(9))  # the turn is free again

    asyncio.run(main())
