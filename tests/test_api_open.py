"""Opening and closing: what is asked for, what is refused, what a handle promises."""

from __future__ import annotations

import inspect
import os
import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest

import mvdb
from mvdb.storage import envelope
from mvdb.storage.format import FORMAT_KEY, FORMAT_VERSION, MAGIC, Kind
from tests.helpers import DIM, content, fill, matrix
from tests.support import rights
from tests.support.children import in_child

ERRORS = {
    "DimensionMismatch": ValueError,
    "DuplicateIdError": KeyError,
    "NotFoundError": KeyError,
    "FilterError": ValueError,
    "ClosedError": RuntimeError,
    "ReadOnlyError": RuntimeError,
    "BusyError": TimeoutError,
    "CorruptionError": OSError,
    "FormatError": ValueError,
    "StorageFullError": OSError,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


@pytest.mark.parametrize(("name", "builtin"), ERRORS.items())
def test_every_error_is_an_mvdb_error_and_the_builtin_that_fits(
    name: str, builtin: type[Exception]
) -> None:
    error = getattr(mvdb, name)
    assert issubclass(error, mvdb.Error)
    assert issubclass(error, builtin)
    assert str(error("a sentence")) == "a sentence"


def test_the_signature_of_open() -> None:
    parameters = inspect.signature(mvdb.open).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    promised = {
        "dim": None,
        "bits": 2,
        "readonly": False,
        "create": True,
        "encoder": None,
        "durability": "full",
        "map_size": None,
    }
    assert defaults.items() >= promised.items()
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in promised)


def test_the_encoders_need_no_import_of_their_own() -> None:
    assert callable(mvdb.encoders.load)
    assert callable(mvdb.encoders.default)
    with pytest.raises(AttributeError, match="no_such_name"):
        mvdb.no_such_name  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_dim_and_bits_are_kept_in_the_file(path: Path, bits: int) -> None:
    mvdb.open(path, dim=5, bits=bits).close()
    with mvdb.open(path) as db:
        assert (db.dim, db.bits, len(db)) == (5, bits, 0)
    with mvdb.open(path, dim=5) as db:
        assert db.path == path.resolve()


def test_a_different_dim_is_refused(path: Path) -> None:
    mvdb.open(path, dim=5).close()
    with pytest.raises(mvdb.DimensionMismatch, match=r"a\.mvdb.* dim 5, not 6.*leave dim out"):
        mvdb.open(path, dim=6)
    mvdb.open(path).close()


@pytest.mark.parametrize(("kept", "asked"), [(2, 8), (8, 2), (16, 1)])
@pytest.mark.parametrize("readonly", [False, True])
def test_different_bits_are_refused(path: Path, kept: int, asked: int, readonly: bool) -> None:
    """`bits` was ignored for a file that is there, unlike `dim`."""
    mvdb.open(path, dim=5, bits=kept).close()
    said = rf"a\.mvdb.* bits={kept}, .*not bits={asked}.*leave bits out"
    with pytest.raises(mvdb.InvalidInputError, match=said):
        mvdb.open(path, bits=asked, readonly=readonly)
    for options in ({}, {"bits": kept}, {"bits": np.int64(kept)}):
        with mvdb.open(path, readonly=readonly, **options) as db:  # type: ignore[arg-type]
            assert db.bits == kept


@pytest.mark.parametrize("given", [":memory:", b":memory:", "", "a\0b", None, 5, ["a.mvdb"]])
def test_paths_that_name_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object
) -> None:
    """ ":memory:" made a file of that name."""
    monkeypatch.chdir(tmp_path)
    source = mvdb.open("a.mvdb", dim=4)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("path", lambda: mvdb.open(given, dim=4)),  # type: ignore[arg-type]
        ("path", lambda: source.backup(given)),  # type: ignore[arg-type]
        ("src", lambda: mvdb.repair(given, "b.mvdb")),  # type: ignore[arg-type]
        ("dst", lambda: mvdb.repair("a.mvdb", given)),  # type: ignore[arg-type]
    ]
    if given is not None:  # in place
        calls.append(("path", lambda: source.compact(given)))  # type: ignore[arg-type]
    for name, call in calls:
        with pytest.raises(mvdb.InvalidInputError, match=f"^{name}: ") as caught:
            call()
        if given == ":memory:":
            assert "tempfile.TemporaryDirectory()" in str(caught.value)
    source.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mvdb"]
    if given == ":memory:" and os.name == "posix":
        mvdb.open("./:memory:", dim=4).close()
        assert (tmp_path / ":memory:").exists()


def test_a_folder_is_refused_with_the_name_of_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for given in (folder, str(folder) + os.sep, str(tmp_path / "new") + os.sep):
        with pytest.raises(mvdb.FormatError, match=r"is a directory.*notes\.mvdb"):
            mvdb.open(given, dim=4)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("dim", [None, 0, -1, 4097, 2.0, True, "8"])
def test_a_dim_that_cannot_be_creates_no_file(path: Path, dim: object) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="dim"):
        mvdb.open(path, dim=dim)  # type: ignore[arg-type]
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("bits", [0, 3, 32, 2.0, True, None, "2", [2]])
def test_bits_that_cannot_be_create_no_file(path: Path, bits: object) -> None:
    with pytest.raises(mvdb.InvalidInputError, match="bits: one of 1, 2, 4, 8, 16"):
        mvdb.open(path, dim=4, bits=bits)  # type: ignore[arg-type]
    assert list(path.parent.iterdir()) == []


def test_dim_may_be_a_numpy_integer(path: Path) -> None:
    with mvdb.open(path, dim=np.int64(7)) as db:  # type: ignore[arg-type]
        assert db.dim == 7
        assert type(db.dim) is int


@pytest.mark.parametrize(
    ("option", "value"), [("durability", "none"), ("map_size", 0), ("map_size", "1 GB")]
)
def test_options_that_cannot_be(path: Path, option: str, value: object) -> None:
    with pytest.raises(mvdb.InvalidInputError, match=option):
        mvdb.open(path, dim=4, **{option: value})  # type: ignore[arg-type]
    assert list(path.parent.iterdir()) == []


def test_relaxed_durability_and_map_size_store_the_same(path: Path) -> None:
    with mvdb.open(path, dim=DIM, durability="relaxed", map_size=1 << 24) as db:
        fill(db, 3)
    assert list(content(path)) == [0, 1, 2]


@pytest.mark.parametrize("options", [{"create": False}, {"readonly": True}])
def test_a_missing_file_is_not_made_unless_asked(path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(FileNotFoundError, match="a\\.mvdb"):
        mvdb.open(path, dim=4, **options)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder.*nowhere"):
        mvdb.open(tmp_path / "nowhere" / "a.mvdb", dim=4)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises((IsADirectoryError, mvdb.FormatError), match=tmp_path.name):
        mvdb.open(tmp_path, dim=4)


# ---- files that are something else ----


@pytest.mark.parametrize(
    ("bytes_", "says"),
    [
        (b"", "empty"),
        (b"Dear diary,\n" * 2000, "not an mvdb file"),
        (bytes(70_000), "not an mvdb file"),
        (b"SQLite format 3\0" + bytes(9000), "not an mvdb file"),
    ],
)
@pytest.mark.parametrize("readonly", [False, True])
def test_another_file_is_a_format_error_and_untouched(
    path: Path, bytes_: bytes, says: str, readonly: bool
) -> None:
    path.write_bytes(bytes_)
    with pytest.raises(mvdb.FormatError, match=f"a\\.mvdb.*{says}"):
        mvdb.open(path, dim=4, readonly=readonly)
    assert path.read_bytes() == bytes_


@pytest.mark.parametrize("size", [10, 3000, 4096, 8192, 20_000])
def test_a_truncated_file_is_refused(path: Path, size: int) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 50)
    with open(path, "r+b") as file:
        file.truncate(size)
    with pytest.raises((mvdb.CorruptionError, mvdb.FormatError), match="a\\.mvdb"):
        mvdb.open(path)
    assert path.stat().st_size == size


def test_another_lmdb_file_is_refused(path: Path) -> None:
    environment = lmdb.open(str(path), subdir=False, lock=False)
    with environment.begin(write=True) as txn:
        txn.put(b"key", b"value")
    environment.close()
    with pytest.raises(mvdb.FormatError, match="not one of mvdb"):
        mvdb.open(path, dim=4)


def test_a_newer_format_is_refused_naming_both_versions(path: Path) -> None:
    mvdb.open(path, dim=4).close()
    environment = lmdb.open(str(path), subdir=False, lock=False, max_dbs=16)
    meta = environment.open_db(b"meta", create=False)
    body = MAGIC + struct.pack("<I", FORMAT_VERSION + 7)
    with environment.begin(write=True) as txn:
        txn.put(FORMAT_KEY, envelope.seal(Kind.META, FORMAT_KEY, body), db=meta)
    environment.close()
    with pytest.raises(mvdb.FormatError) as caught:
        mvdb.open(path)
    assert f"format {FORMAT_VERSION + 7}" in str(caught.value)
    assert f"up to format {FORMAT_VERSION}" in str(caught.value)


# ---- reading only ----


def test_readonly_refuses_every_write_and_leaves_no_lock_file(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 3)
    before = path.read_bytes()
    with mvdb.open(path, readonly=True) as db:
        assert db.readonly
        assert [hit.id for hit in db.search(matrix(1), 1)] == [1]
        calls: list[Callable[[], object]] = [
            lambda: db.insert("x", matrix(1)),
            lambda: db.upsert("x", matrix(1)),
            lambda: db.delete(1),
            db.transaction,
            lambda: db.insert_batches([{"ids": ["x"], "embeddings": [matrix(1)]}]),
            db.optimize,
            db.compact,
        ]
        for call in calls:
            with pytest.raises(mvdb.ReadOnlyError, match=r"a\.mvdb.*readonly"):
                call()
        assert len(db) == 3
        assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.skipif(not rights.CAN_GIVE_UP, reason="permissions do not bind this user")
def test_readonly_opens_a_file_without_write_permission(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 2)
    path.chmod(0o444)
    path.parent.chmod(0o555)

    def count() -> int:
        rights.give_up()
        with pytest.raises(PermissionError):
            mvdb.open(path)
        with mvdb.open(path, readonly=True) as db:
            return len(db)

    try:
        assert in_child(count) == 2
    finally:
        path.parent.chmod(0o755)


def test_a_closed_file_stands_alone(path: Path, tmp_path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 3)
    copy = tmp_path / "copy.mvdb"
    copy.write_bytes(path.read_bytes())
    assert content(copy) == content(path)
    assert {file.name for file in tmp_path.iterdir()} == {"a.mvdb", "copy.mvdb"}


# ---- closing ----


def test_use_after_close_raises(path: Path) -> None:
    db = mvdb.open(path, dim=DIM)
    fill(db, 2)
    db.close()
    db.close()
    query = matrix(0)
    calls: list[Callable[[], object]] = [
        lambda: db.search(query),
        lambda: db.search_batch([query]),
        lambda: db.rerank(query, [1]),
        lambda: db.explain(query, 1),
        lambda: db.profile(query),
        lambda: db.get([1]),
        lambda: db.vectors([1]),
        lambda: list(db.ids()),
        lambda: len(db),
        lambda: 1 in db,
        lambda: db.insert(9, query),
        lambda: db.upsert(9, query),
        lambda: db.delete(1),
        lambda: db.insert_batches([]),
        db.transaction,
        db.snapshot,
        db.stats,
        db.optimize,
        db.compact,
        lambda: db.backup(path.with_suffix(".copy")),
        db.verify,
    ]
    for call in calls:
        with pytest.raises(mvdb.ClosedError, match=r"a\.mvdb.*closed"):
            call()
    assert "a.mvdb" in repr(db)
    assert db.path == path.resolve()
    assert list(content(path)) == [0, 1]


def test_a_transaction_does_not_commit_through_a_closed_database(path: Path) -> None:
    db = mvdb.open(path, dim=DIM)
    txn = db.transaction()
    txn.insert(1, matrix(1))
    db.close()
    with pytest.raises(mvdb.ClosedError):
        txn.commit()
    assert content(path) == {}


def test_the_block_closes_also_after_an_exception(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), mvdb.open(path, dim=DIM) as db:  # noqa: PT012
        fill(db, 1)
        raise ZeroDivisionError
    with pytest.raises(mvdb.ClosedError):
        len(db)
    assert list(content(path)) == [0]


def test_two_handles_in_one_process_see_each_other(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as one, mvdb.open(path) as other:
        fill(one, 2)
        assert len(other) == 2
        other.delete(0)
        assert list(one.ids()) == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_parents_handle_is_refused_after_fork(path: Path) -> None:
    with mvdb.open(path, dim=DIM) as db:
        fill(db, 2)

        def work() -> int:
            calls: list[Callable[[], object]] = [
                lambda: len(db),
                lambda: db.search(matrix(0)),
                lambda: db.delete(0),
            ]
            for call in calls:
                with pytest.raises(mvdb.ClosedError):
                    call()
            db.close()
            with mvdb.open(path) as own:
                return len(own)

        assert in_child(work) == 2
        assert len(db) == 2
