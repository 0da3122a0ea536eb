"""`mvdb.folders.sync`: what becomes of files, and what belongs to them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mvdb
from mvdb import folders
from mvdb.reading import Cutting
from tests.helpers import refused

DIM = 16


class Encoder:
    """A vector for each word; remembers what it was given."""

    dim, name = DIM, "words"

    def __init__(self) -> None:
        self.given: list[str] = []

    def encode_documents(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        self.given += texts
        return [self._rows(text) for text in texts]

    def encode_queries(self, texts: Sequence[str], /) -> list[NDArray[Any]]:
        return [self._rows(text) for text in texts]

    def _rows(self, text: str) -> NDArray[Any]:
        words = text.lower().split() or [""]
        seeds = [int.from_bytes(word.encode()[:8], "little") for word in words]
        return np.stack([np.random.default_rng(seed).standard_normal(DIM) for seed in seeds])


def never() -> Encoder:
    raise AssertionError("an encoder was made")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sky").mkdir(parents=True)
    (folder / "fruit.md").write_text("# Fruit\n\nApples are red.\n")
    (folder / "sky" / "blue.txt").write_text("The sky is blue.")
    return folder


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    """With the notes in it, in tests that have notes."""
    notes = tmp_path / "notes"
    with mvdb.open(tmp_path / "n.mvdb", dim=DIM) as database:
        if notes.exists():
            folders.sync(database, notes, encoder=Encoder())
        yield database


def texts(db: mvdb.Database) -> dict[Any, str | None]:
    return {document.id: document.text for document in db.documents()}


def metadata(db: mvdb.Database, id: str) -> dict[str, Any]:
    (document,) = db.get([id])
    assert document is not None
    return dict(document.metadata or {})


def test_a_folder_is_stored_and_searched(notes: Path, db: mvdb.Database) -> None:
    assert texts(db) == {
        "notes/fruit.md#1": "# Fruit\n\nApples are red.",
        "notes/sky/blue.txt#1": "The sky is blue.",
    }
    found = metadata(db, "notes/sky/blue.txt#1")
    assert {name: found[name] for name in ("path", "folder", "name", "size", "line")} == {
        "path": "notes/sky/blue.txt",
        "folder": "notes/sky",
        "name": "blue.txt",
        "size": 16,
        "line": 1,
    }
    assert db.count({"folder": "notes/sky", "modified": {"$gte": "2020-01-01"}}) == 1
    assert db.count({"modified": {"$gte": "2999-01-01"}}) == 0
    assert db.stats().encoder == "words"
    report = folders.sync(db, notes, encoder=never)
    assert (report.unchanged, report.written, report.found) == (2, 0, 2)


def test_properties_and_title_of_a_document_can_be_filtered(
    tmp_path: Path, db: mvdb.Database
) -> None:
    bread = tmp_path / "bread.md"
    bread.write_text("---\ntitle: Bread\ntags: [oven]\ndate: 2026-01-02\n---\n\nFlour and salt.\n")
    folders.sync(db, bread, encoder=Encoder())
    assert list(db.ids({"properties.tags": {"$contains": "oven"}})) == ["bread.md#1"]
    assert list(db.ids({"properties.date": {"$gte": "2026"}})) == ["bread.md#1"]
    assert metadata(db, "bread.md#1")["document"] == "Bread"
    # A long one is not repeated in each passage.
    bread.write_text(f"---\nshort: x\nlong: {'y' * 5000}\n---\n\nFlour.\n")
    report = folders.sync(db, bread, encoder=Encoder())
    assert metadata(db, "bread.md#1")["properties"] == {"short": "x"}
    ((path, note),) = report.notes
    assert path == str(bread)
    assert "'long'" in note


def test_the_headings_are_encoded_and_not_shown(tmp_path: Path, db: mvdb.Database) -> None:
    paragraph = "Many words stand here in a row. " * 12
    page = tmp_path / "page.md"
    page.write_text(f"# Garden\n\n## Carrots\n\n{paragraph}\n\n{paragraph}\n\n{paragraph}\n")
    encoder = Encoder()
    folders.sync(db, page, encoder=encoder)
    last = texts(db)[f"page.md#{len(encoder.given)}"]
    assert last is not None
    assert last.startswith("Many words")
    assert encoder.given[-1] == f"Garden > Carrots\n{last}"
    found = metadata(db, f"page.md#{len(encoder.given)}")
    assert folders.encoded_text(last, found) == encoder.given[-1]


def test_a_record_that_looks_like_a_passage_is_the_users(notes: Path, db: mvdb.Database) -> None:
    """Neither deleted with the file nor overwritten: what belongs to a file is stored with it."""
    encoder = Encoder()
    mine = ["notes/fruit.md#20260101", "notes/fruit.md#2", "notes/gone.md#1"]
    path = {"path": "notes/fruit.md"}
    db.insert(mine, encoder.encode_documents(mine), texts=["mine"] * 3, metadata=[path] * 3)
    long = "Some words in a paragraph of it. " * 30
    (notes / "fruit.md").write_text(f"{long}\n\n{long}\n\n{long}")
    folders.sync(db, notes, encoder=encoder, prune=True)
    assert {id: text for id, text in texts(db).items() if text == "mine"}.keys() == set(mine)
    (file,) = (one for one in folders.files(db) if one.path == "notes/fruit.md")
    assert file.passages > 2
    assert {texts(db)[id] for id in file.ids}.isdisjoint({"mine", None})
    shutil.rmtree(notes)
    folders.sync(db, notes, prune=True)
    assert texts(db).keys() == set(mine)


def test_a_passage_that_a_user_replaced_is_the_users(notes: Path, db: mvdb.Database) -> None:
    db.upsert("notes/fruit.md#1", np.ones((1, DIM), np.float32), texts="mine")
    (notes / "fruit.md").write_text("Plums.")
    folders.sync(db, notes, encoder=Encoder())
    assert texts(db)["notes/fruit.md#1"] == "mine"
    assert "Plums." in texts(db).values()
    (notes / "fruit.md").unlink()
    folders.sync(db, notes, prune=True)
    assert texts(db).keys() == {"notes/fruit.md#1", "notes/sky/blue.txt#1"}


def test_fields_of_the_indexer_that_a_user_wrote(notes: Path, db: mvdb.Database) -> None:
    """A record with the mark of an unfinished file alone is no file, and stays."""
    mark = metadata(db, "notes/fruit.md#1")["indexed"].replace("fruit", "other")
    db.insert("mine", np.ones((1, DIM), np.float32), metadata={"indexing": mark})
    db.insert("odd", np.ones((1, DIM), np.float32), metadata={"indexed": '["x",1]', "indexing": 5})
    assert folders.sync(db, notes, encoder=never, prune=True).unchanged == 2
    assert {"mine", "odd"} < texts(db).keys()


def test_two_files_never_share_an_id(tmp_path: Path, db: mvdb.Database) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "docs").mkdir(parents=True)
        (tmp_path / folder / "docs" / "a.txt").write_text(f"Of {folder}.")
        folders.sync(db, tmp_path / folder / "docs", encoder=Encoder())
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a\\xff").write_text("A backslash.")
    with open(os.fsencode(raw) + b"/a\xff", "w") as file:
        file.write("A byte.")
    folders.sync(db, raw, encoder=Encoder())
    assert sorted(filter(None, texts(db).values())) == [
        "A backslash.", "A byte.", "Of one.", "Of two.",
    ]  # fmt: skip
    assert folders.sync(db, [tmp_path / "one" / "docs", raw], encoder=never).unchanged == 3
    places = {file.place for file in folders.files(db)}
    assert {str(tmp_path / "one/docs/a.txt"), str(tmp_path / "two/docs/a.txt")} < places
    os.remove(os.fsencode(raw) + b"/a\xff")
    assert folders.sync(db, raw, prune=True).removed == 1
    assert "A backslash." in texts(db).values()


def test_a_moved_file_keeps_ids_and_vectors(notes: Path, db: mvdb.Database) -> None:
    before = db.vectors(["notes/fruit.md#1"])[0]
    shutil.move(notes / "fruit.md", notes / "sky" / "food.md")
    report = folders.sync(db, notes, encoder=never, prune=True)
    assert (report.renamed, report.unchanged, report.removed, report.written) == (1, 1, 0, 0)
    assert metadata(db, "notes/fruit.md#1")["path"] == "notes/sky/food.md"
    assert np.array_equal(db.vectors(["notes/fruit.md#1"])[0], before)
    # Another file at the old place is another file.
    (notes / "fruit.md").write_text("Plums.")
    folders.sync(db, notes, encoder=Encoder())
    assert len(texts(db)) == 3
    assert texts(db)["notes/fruit.md#1"] == "# Fruit\n\nApples are red."
    # A copy is no move: the original is there.
    shutil.copy(notes / "fruit.md", notes / "copy.md")
    assert folders.sync(db, notes, encoder=Encoder()).indexed == 1


def test_a_moved_file_of_which_passages_were_deleted(tmp_path: Path, db: mvdb.Database) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Part {n}. " + "word " * 125 for n in range(3)))
    folders.sync(db, book, encoder=Encoder())
    db.delete("book.txt#2")
    db.upsert("book.txt#3", np.ones((1, DIM), np.float32), texts="mine")
    book.rename(tmp_path / "novel.txt")
    report = folders.sync(db, tmp_path / "novel.txt", encoder=never)
    assert (report.renamed, report.written) == (1, 0)
    assert {one.id: one.metadata and one.metadata["name"] for one in db.documents()} == {
        "book.txt#1": "novel.txt",
        "book.txt#3": None,
    }


def test_a_renamed_folder_encodes_nothing(notes: Path, db: mvdb.Database) -> None:
    elsewhere = notes.with_name("notizen")
    notes.rename(elsewhere)
    report = folders.sync(db, elsewhere, encoder=never, prune=True)
    assert (report.renamed, report.deleted) == (2, 0)
    assert {file.path for file in folders.files(db)} == {"notizen/fruit.md", "notizen/sky/blue.txt"}
    assert folders.sync(db, elsewhere, encoder=never).unchanged == 2


def test_a_file_is_known_from_whatever_source(
    notes: Path, db: mvdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(notes / "sky")
    for source in (".", "..", "blue.txt", str(notes), Path("../sky"), ["blue.txt", ".", ".."]):
        report = folders.sync(db, source, encoder=never)
        assert report.unchanged >= 1
        assert report.found == report.unchanged
    (notes / "sky" / "new.txt").write_text("New.")
    folders.sync(db, ".", encoder=Encoder())
    assert "notes/sky/new.txt#1" in texts(db)  # the root of the source that holds it


def test_root(tmp_path: Path, notes: Path) -> None:
    with mvdb.open(tmp_path / "r.mvdb", dim=DIM) as db:
        folders.sync(db, notes, encoder=Encoder(), root=notes)
        assert texts(db).keys() == {"fruit.md#1", "sky/blue.txt#1"}
        assert folders.sync(db, notes, encoder=never).unchanged == 2
        with refused(db, mvdb.InvalidInputError, "root", "not below"):
            folders.sync(db, tmp_path, root=notes)


def test_prune(tmp_path: Path, notes: Path, db: mvdb.Database) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Other.")
    folders.sync(db, other, encoder=Encoder())
    (notes / "fruit.md").unlink()
    assert folders.sync(db, notes).removed == 0
    assert folders.sync(db, notes, prune=True).removed == 1
    shutil.rmtree(notes)
    with refused(db, mvdb.PathNotFoundError, str(notes), "prune"):
        folders.sync(db, notes)
    assert folders.sync(db, notes, prune=True).removed == 1
    assert texts(db).keys() == {"other.txt#1"}
    with refused(db, mvdb.PathNotFoundError, str(notes)):
        folders.sync(db, notes, prune=True)


def test_include_and_exclude(tmp_path: Path, notes: Path) -> None:
    (notes / "a.py").write_text("x = 1")
    with mvdb.open(tmp_path / "i.mvdb", dim=DIM) as db:
        folders.sync(db, notes, include=["*.txt", "*.md"], exclude="sky/", encoder=Encoder())
        assert texts(db).keys() == {"notes/fruit.md#1"}
        folders.sync(db, notes, include="*.txt", encoder=Encoder())
        assert texts(db).keys() == {"notes/fruit.md#1", "notes/sky/blue.txt#1"}


def test_a_file_that_cannot_be_read_any_more(notes: Path, db: mvdb.Database) -> None:
    (notes / "fruit.md").write_bytes(b"\0\1\2")
    report = folders.sync(db, notes, keep_unreadable=True)
    assert (report.skipped, report.removed, len(db)) == (1, 0, 2)
    report = folders.sync(db, notes)
    assert (report.skipped, report.removed, len(db)) == (1, 1, 1)
    (refusal,) = report.refusals
    assert refusal.path == str(notes / "fruit.md")
    assert report.kinds == {"binary": 1}
    assert json.dumps(report.to_dict())


def test_other_cutting_cuts_again_and_stays(tmp_path: Path, notes: Path, db: mvdb.Database) -> None:
    paragraphs = "\n\n".join(f"Paragraph {n}. " + "word " * 40 for n in range(8))
    (notes / "fruit.md").write_text(paragraphs)
    folders.sync(db, notes, encoder=Encoder())
    usual = len(db)
    report = folders.sync(db, notes, encoder=Encoder(), cutting=Cutting(40, 60))
    assert report.indexed == 2
    assert len(db) > usual
    assert folders.sync(db, notes, encoder=never).unchanged == 2


def test_dedupe(tmp_path: Path, notes: Path, db: mvdb.Database) -> None:
    licence = " ".join(f"word{number}" for number in range(100))
    (notes / "one.txt").write_text(licence)
    folders.sync(db, notes, encoder=Encoder(), dedupe=True)
    (notes / "two.txt").write_text(f"{licence} changed")
    (notes / "three.txt").write_text(f"{licence} also")
    report = folders.sync(db, notes, encoder=Encoder(), dedupe=True)
    assert (report.duplicates, report.empty, len(db)) == (2, 2, 3)
    # A file that changes a little is no duplicate of itself.
    (notes / "one.txt").write_text(f"{licence} new")
    assert folders.sync(db, notes, encoder=Encoder(), dedupe=True).duplicates == 2
    assert len(db) == 3
    assert folders.sync(db, notes, encoder=Encoder()).indexed == 2


def test_progress_and_cancel(notes: Path, tmp_path: Path) -> None:
    for number in range(300):
        (notes / f"{number}.txt").write_text(f"File {number}.")
    seen: list[folders.Progress] = []
    cancel = threading.Event()

    def watch(progress: folders.Progress) -> None:
        seen.append(progress)
        if progress.step == "encoding":
            cancel.set()

    with mvdb.open(tmp_path / "p.mvdb", dim=DIM) as db:
        with pytest.raises(mvdb.CancelledError):
            folders.sync(db, notes, encoder=Encoder(), progress=watch, cancel=cancel)
        assert len(db) == 128
        steps = [progress.step for progress in seen]
        assert sorted(set(steps), key=steps.index) == ["looking", "reading", "encoding"]
        assert (seen[-1].done, seen[-1].total) == (128, 302)
        assert seen[-1].seconds_left is not None
        encoder = Encoder()
        report = folders.sync(db, notes, encoder=encoder)
        assert (report.unchanged, report.indexed) == (128, 174)
        assert len(encoder.given) == 174


def test_a_long_file_goes_on_where_it_was_cancelled(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Part {n}. " + "word " * 125 for n in range(300)))
    whole = Encoder()
    with mvdb.open(tmp_path / "whole.mvdb", dim=DIM) as db:
        folders.sync(db, book, encoder=whole)
        wanted = texts(db), [dict(one.metadata or {}) for one in db.documents()]
    with mvdb.open(tmp_path / "l.mvdb", dim=DIM) as db:
        with pytest.raises(mvdb.CancelledError):
            folders.sync(db, book, encoder=Encoder(), cancel=lambda: len(db) >= 128)
        assert len(db) == 128
        assert not next(folders.files(db)).is_whole
        rest = Encoder()
        report = folders.sync(db, book, encoder=rest)
        assert (report.indexed, len(rest.given)) == (1, 300 - 128)
        assert (texts(db), [dict(one.metadata or {}) for one in db.documents()]) == wanted
        assert next(folders.files(db)).is_whole
        # Whole, it stays as people make it.
        db.delete(["book.txt#3", "book.txt#300"])
        assert folders.sync(db, book, encoder=never).unchanged == 1


def test_context(tmp_path: Path, db: mvdb.Database) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Part {n}. " + "word " * 125 for n in range(5)))
    folders.sync(db, book, encoder=Encoder())
    ids = lambda found: [one.id for one in found]  # noqa: E731
    assert ids(folders.context(db, "book.txt#1")) == ["book.txt#1", "book.txt#2"]
    around = folders.context(db, db.get(["book.txt#3"])[0], before=2, after=1)  # type: ignore[arg-type]
    assert ids(around) == [f"book.txt#{number}" for number in (1, 2, 3, 4)]
    db.delete("book.txt#4")
    assert ids(folders.context(db, "book.txt#3", before=0)) == ["book.txt#3"]
    db.insert("book.txt#4", np.ones((1, DIM), np.float32), texts="mine")
    assert ids(folders.context(db, "book.txt#5")) == ["book.txt#5"]
    assert ids(folders.context(db, "book.txt#4")) == ["book.txt#4"]
    with refused(db, mvdb.NotFoundError, "nothing"):
        folders.context(db, "nothing")
    for wrong in ({"before": -1}, {"after": True}, {"after": 2.5}):
        with refused(db, mvdb.InvalidInputError, *wrong):
            folders.context(db, "book.txt#5", **wrong)  # type: ignore[arg-type]


def test_the_context_of_a_hit(tmp_path: Path, db: mvdb.Database) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"Part{n} " + "word " * 125 for n in range(5)))
    encoder = Encoder()
    folders.sync(db, book, encoder=encoder)
    (query,) = encoder.encode_queries(["Part2"])
    with db.snapshot() as snapshot:
        (hit,) = snapshot.search(query, k=1)
        assert (
            hit.context()
            == folders.context(db, hit)
            == db.get([f"book.txt#{n}" for n in (2, 3, 4)])
        )
        db.delete("book.txt#2")
        assert len(hit.context(before=1, after=0)) == 2, "as the snapshot saw it"
    assert hit.context(before=1, after=0) == db.get(["book.txt#3"])
    assert hit.context(5, 5) == db.get([f"book.txt#{n}" for n in (1, 3, 4, 5)])
    assert db.more_like("book.txt#3", k=1)[0].context(0, 0)[0].id != "book.txt#3"
    with refused(db, mvdb.InvalidInputError, "before"):
        hit.context(before=-1)
    with refused(db, mvdb.InvalidInputError, "pickled", "folders.context"):
        pickle.loads(pickle.dumps(hit)).context()
    db.delete("book.txt#3")
    with refused(db, mvdb.NotFoundError, "book.txt#3"):
        hit.context()


def test_a_hit_of_a_tenant_stands_alone(tmp_path: Path) -> None:
    rows = np.eye(2, DIM, dtype=np.float32)
    with mvdb.open(tmp_path / "t.mvdb", dim=DIM, tenants=True) as db:
        for tenant in ("a", "b"):
            db.insert("x#1", rows, texts=f"of {tenant}", tenant=tenant)
        for hit in (db.search(rows, tenant="a")[0], db.rerank(rows, "x#1", tenant="a")[0]):
            assert [one.text for one in hit.context()] == ["of a"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sources": 5}, ("sources",)),
        ({"sources": b"x\0"}, ("sources",)),
        ({"sources": [""]}, ("sources",)),
        ({"sources": "nowhere"}, ("sources", "nowhere")),
        ({"include": [5]}, ("include",)),
        ({"exclude": 5}, ("exclude",)),
        ({"root": 5}, ("root",)),
        ({"max_bytes": 0}, ("max_bytes",)),
        ({"prune": 1}, ("prune",)),
        ({"encoder": 5}, ("encoder",)),
        ({"cutting": 5}, ("cutting",)),
        ({"progress": 5}, ("progress",)),
        ({"cancel": 5}, ("cancel",)),
    ],
)
def test_malformed_arguments(
    notes: Path, db: mvdb.Database, arguments: dict[str, Any], words: tuple[str, ...]
) -> None:
    given = {"sources": notes, **arguments}
    before = texts(db)
    kind = mvdb.PathNotFoundError if "nowhere" in words else mvdb.InvalidInputError
    with refused(db, kind, *words):
        folders.sync(db, given.pop("sources"), **given)
    assert texts(db) == before


def test_without_an_encoder(notes: Path, tmp_path: Path) -> None:
    with (
        mvdb.open(tmp_path / "e.mvdb", dim=DIM) as db,
        pytest.raises(mvdb.InvalidInputError, match="needs an encoder"),
    ):
        folders.sync(db, notes)
    with mvdb.open(tmp_path / "f.mvdb", encoder=Encoder()) as db:
        assert folders.sync(db, notes).indexed == 2
        other = Encoder()
        other.name = "other"
        (notes / "new.txt").write_text("New.")
        with refused(db, mvdb.EncoderMismatchError, "'other'"):
            folders.sync(db, notes, encoder=other)
